"""A simulated Swarm and a real bus for each test that wants them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server, valkey_binary
from support.simulator import running_simulator


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulatorClient]:
    with running_simulator(tmp_path) as client:
        client.create_network("web")
        yield client


@pytest.fixture
def server() -> Iterator[Server]:
    # A unix socket's path may not be longer than 107 bytes, which pytest's own folders come close to.
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        running = Server(valkey_binary(), Path(folder)).start()
        yield running
        running.stop()
