"""A real Valkey for each test: these tests kill, flush and restart it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.bus.connection import Bus
from interlock.model.names import Cluster
from support.bus_servers import Server, valkey_binary
from support.planner_lab import Pen


@pytest.fixture
def server() -> Iterator[Server]:
    # A unix socket's path may not be longer than 107 bytes, which pytest's own folders come close to.
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        running = Server(valkey_binary(), Path(folder)).start()
        yield running
        running.stop()


@pytest.fixture
def bus(server: Server) -> Iterator[Bus]:
    bus = Bus.connect(server.url)
    yield bus
    bus.close()


@pytest.fixture
def pen(bus: Bus) -> Pen:
    return Pen(bus, Cluster("r", "east"))
