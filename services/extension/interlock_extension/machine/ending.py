"""Ending a process by steps, and waiting. Shell."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from interlock.runtime.process import Identity

_KILLED = 1.0
_STEP = 0.001


def end(identity: Identity, *steps: tuple[signal.Signals, float]) -> bool:
    """Signals, each with the seconds to wait for the end, then SIGKILL; whether that was not needed."""
    for number, timeout in steps:
        identity.send_signal(number)
        if wait(lambda: not identity.alive(), timeout):
            return True
    identity.send_signal(signal.SIGKILL)
    wait(lambda: not identity.alive(), _KILLED)
    return False


def wait(condition: Callable[[], bool], timeout: float) -> bool:
    """Whether the condition came true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True
