"""The bus of each test: these tests kill, flush and restart it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock.bus.connection import Bus
from interlock.model.names import Cluster
from support.bus_servers import Server
from support.planner_lab import Pen


@pytest.fixture
def bus(server: Server) -> Iterator[Bus]:
    bus = Bus.connect(server.url)
    yield bus
    bus.close()


@pytest.fixture
def pen(bus: Bus) -> Pen:
    return Pen(bus, Cluster("r", "east"))
