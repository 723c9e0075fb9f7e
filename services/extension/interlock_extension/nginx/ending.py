"""Ending processes of nginx, also one that detached itself from who started it. Shell."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from interlock.runtime.process import Identity
from interlock_extension.nginx import processes

_KILLED = 1.0
_APPEARS = 1.0
_ENDS = 2.0
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


def end_detached(folder: Path, status: int | None) -> None:
    """End what an nginx of this folder left behind; its file lacked `daemon off`, and no worker could reload it.

    `status`: its own exit status, which is 0 then.
    """
    if status != 0:
        return
    # It bears its title a moment after the process that was started has ended.
    wait(lambda: bool(processes.orphans_of(folder)), _APPEARS)
    # The second SIGKILL is for workers whose master ended by the first.
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        for identity in processes.orphans_of(folder):
            identity.send_signal(number)
        if wait(lambda: not processes.orphans_of(folder), _ENDS):
            return


def wait(condition: Callable[[], bool], timeout: float) -> bool:
    """Whether the condition came true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True
