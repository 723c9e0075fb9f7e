"""A watcher started with a config.toml: contract 3.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server
from support.ended import Case, ends
from support.watcher_lab import BusView, spawn_watcher, until


@pytest.mark.parametrize(("interval", "used"), [("1s", 2.0), ("2500ms", 2.5), ("1m", 60.0)])
def test_docker_url_and_poll_interval(
    sim: SimulatorClient, server: Server, view: BusView, tmp_path: Path, interval: str, used: float
) -> None:
    """The engine is the file's; an interval of less than two seconds is raised, with a warning."""
    file = tmp_path / "config.toml"
    file.write_text(f'dockerurl = "{sim.docker_url}"\nPollInterval = "{interval}"\nRegion = "default"\n')
    log = tmp_path / "watcher.log"
    watcher = spawn_watcher("", server.url, log, "--config", str(file))
    try:
        status = until("the watcher has listed", lambda: (s := view.status()) and s.last_listing and s, log.read_text)
        assert status.docker_url == sim.docker_url
        assert status.poll_interval == pytest.approx(used, abs=0.4)
        assert ("the poll interval is raised to 2s" in log.read_text()) is (interval == "1s")
    finally:
        watcher.terminate()
        assert watcher.wait(10) == 0


def test_what_docker_cannot_be_reached_by_is_told_where_it_was_said(tmp_path: Path) -> None:
    def file(text: str) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.toml"
        path.write_text(text)
        return str(path)

    tls = file('DockerURL = "tcp://docker:2376"\n\ntlscacert = "/none.pem"\n')
    no_cert = ("--docker", "tcp://docker:2376", "--tls-key", "/k.pem")
    empty = file('DockerURL = ""\n')
    said = {
        f"{tls}:3: tlscacert = '/none.pem': No such file or directory; give the path of a": Case(("-c", tls), {}),
        "--tls-ca = '/no.pem': No such file or directory": Case(("-c", tls, "--tls-ca", "/no.pem"), {}),
        "environment: INTERLOCK_TLS_CA = '/no.pem': ": Case(("-c", tls), {"INTERLOCK_TLS_CA": "/no.pem"}),
        "--tls-key = '/k.pem': a client certificate needs both; give TLSCert": Case(no_cert, {}),
        f"{empty}:1: DockerURL = '': it is empty; give unix:///path": Case(("-c", empty), {}),
    }
    for url in ("tcp://docker", "tcp://docker:http"):
        told = file(f'DockerURL = "{url}"\n')
        said |= {
            f"{told}:1: DockerURL = '{url}': ": Case(("-c", told), {}),
            f"--docker = '{url}': ": Case(("--docker", url), {}),
            f"environment: INTERLOCK_DOCKER = '{url}': ": Case((), {"INTERLOCK_DOCKER": url}),
            f"environment: DOCKER_HOST = '{url}': ": Case((), {"DOCKER_HOST": url}),
        }
    bus = ("--bus", "redis://127.0.0.1:1/0")
    cases = [Case((*bus, *case.arguments), case.env) for case in said.values()]
    found = ends(["interlock_watcher.cli", "interlock_watcher.app"], cases, without=["DOCKER_HOST"])
    for what, end in zip(said, found, strict=True):
        assert end.status == 2, end.said
        assert what in end.said
        assert "Traceback" not in end.said
