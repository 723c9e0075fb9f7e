"""A simulated Swarm and a real bus for each test that wants them: the bus is new, the Swarm is empty again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server, valkey_binary
from support.simulator import running_simulator


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorClient]:
    with running_simulator(tmp_path_factory.mktemp("sim")) as client:
        yield client


@pytest.fixture
def sim(simulator: SimulatorClient) -> Iterator[SimulatorClient]:
    """With the network `web` and nothing else. Whoever changes what the engine itself is starts one of their own."""
    foreign = {network["Id"] for network in simulator.call("GET", "/networks")}
    simulator.create_network("web")
    yield simulator
    simulator.reset()
    for network in simulator.call("GET", "/networks"):
        if network["Id"] not in foreign:
            simulator.call("DELETE", f"/networks/{network['Id']}")
    end = time.monotonic() + 10
    while left := simulator.docker_tasks():
        assert time.monotonic() < end, f"tasks stay after their services: {left}"
        time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    # A unix socket's path may not be longer than 107 bytes, which pytest's own folders come close to.
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        running = Server(valkey_binary(), Path(folder)).start()
        yield running
        running.stop()
