"""A watcher started with a config.toml: contract 3.1."""

from __future__ import annotations

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
