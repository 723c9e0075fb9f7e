"""A simulated Swarm and a real bus for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server, valkey_binary
from support.simulator import running_simulator
from support.watcher_lab import BusView


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulatorClient]:
    with running_simulator(tmp_path) as client:
        client.create_network("web")
        yield client


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="bus"))
    running = Server(valkey_binary(), folder).start()
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def view(server: Server) -> Iterator[BusView]:
    seen = BusView(server.url)
    yield seen
    seen.close()
