"""How much goes on at once on this machine: two loads that are judged, or Swarms that are brought up, and no more.

Suites run some at a time, since a Swarm mostly waits for its own timers. But making images takes every processor and
the disk for seconds, in which Docker itself answers late: a drain that was missed then would say nothing of us.
"""

from __future__ import annotations

import fcntl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

_PLACES = 2


@contextmanager
def alone() -> Iterator[None]:
    """Within it, no other test process brings a Swarm up or judges a load. Not to be nested."""
    with ExitStack() as held:
        for number in range(_PLACES):
            fcntl.flock(held.enter_context(_file(number)), fcntl.LOCK_EX)
        yield


@contextmanager
def one_of_few() -> Iterator[None]:
    """Within it, at most one other test process does so. Not to be nested, nor in `alone`."""
    with ExitStack() as held:
        files = [held.enter_context(_file(number)) for number in range(_PLACES)]
        while not any(map(_take, files)):
            time.sleep(0.1)
        yield


def _file(number: int) -> IO[str]:
    return (Path(tempfile.gettempdir()) / f"interlock-swarm-tests-{number}.lock").open("w")


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
