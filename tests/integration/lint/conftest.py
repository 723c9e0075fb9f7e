"""A bus with the users that `interlock acl` makes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.guarded_bus import Guarded


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        running = Guarded(Path(folder))
        yield running
        running.server.stop()
