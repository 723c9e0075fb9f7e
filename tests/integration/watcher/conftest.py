"""What the bus shows of a watcher."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.bus_servers import Server
from support.watcher_lab import BusView


@pytest.fixture
def view(server: Server) -> Iterator[BusView]:
    seen = BusView(server.url)
    yield seen
    seen.close()
