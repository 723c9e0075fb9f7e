"""A watcher started with a config.toml: contract 3.1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server
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


def _ended(*arguments: str, **env: str) -> str:
    """What a watcher says that does not start."""
    clean = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    command = [sys.executable, "-m", "interlock_watcher.cli", "--bus", "redis://127.0.0.1:1/0", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env={**clean, **env})
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_what_docker_cannot_be_reached_by_is_told_where_it_was_said(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('DockerURL = "tcp://docker:2376"\n\ntlscacert = "/none.pem"\n')
    words = ("-c", str(file))
    assert f"{file}:3: tlscacert = '/none.pem': No such file or directory; give the path of a" in _ended(*words)
    assert "--tls-ca = '/no.pem': No such file or directory" in _ended(*words, "--tls-ca", "/no.pem")
    assert "environment: INTERLOCK_TLS_CA = '/no.pem': " in _ended(*words, INTERLOCK_TLS_CA="/no.pem")
    assert "--tls-key = '/k.pem': a client certificate needs both; give TLSCert" in _ended(
        "--docker", "tcp://docker:2376", "--tls-key", "/k.pem"
    )
    for url in ("tcp://docker", "tcp://docker:http"):
        file.write_text(f'DockerURL = "{url}"\n')
        assert f"{file}:1: DockerURL = '{url}': " in _ended(*words)
        assert f"--docker = '{url}': " in _ended("--docker", url)
        assert f"environment: INTERLOCK_DOCKER = '{url}': " in _ended(INTERLOCK_DOCKER=url)
        assert f"environment: DOCKER_HOST = '{url}': " in _ended(DOCKER_HOST=url)
    file.write_text('DockerURL = ""\n')
    assert f"{file}:1: DockerURL = '': it is empty; give unix:///path" in _ended(*words)
