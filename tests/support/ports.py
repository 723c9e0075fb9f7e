"""Ports for tests: nobody listens on them, the kernel gives them to no client, and no other test process takes them."""

from __future__ import annotations

import os
import random

from interlock_demo import place

_FIRST, _LAST = 12_000, 32_000
"""Below those that the kernel gives to clients: a load may take any of these."""
_PROCESSES = 20
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports of this process's own part of the range, none of them twice; what is given may be bound only later."""
    part = (_LAST - _FIRST) // _PROCESSES
    # Not the common generator: Hypothesis sets its state, and the same in every process.
    draw = random.SystemRandom()
    first = _FIRST + part * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES)
    found: list[int] = []
    while len(found) < count:
        port = place.free_port(draw.randrange(first, first + part))
        if port not in _given and port < first + part:
            _given.add(port)
            found.append(port)
        if len(_given) > part // 2:
            _given.clear()
    return found


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
