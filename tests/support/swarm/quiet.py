"""One heavy thing at a time on this machine: bringing a Swarm up, or judging a load.

Suites run some at a time, since a Swarm mostly waits for its own timers. But unpacking images takes every processor and
the disk for seconds, in which Docker itself answers late: a drain that was missed then would say nothing of us.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone() -> Iterator[None]:
    """Within it, no other test process brings a Swarm up or judges a load. Not to be nested."""
    with (Path(tempfile.gettempdir()) / "interlock-swarm-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
