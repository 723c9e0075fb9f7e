"""Ending an nginx that detached itself from who started it: `daemon off` was taken from its file. Shell."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from interlock_extension.nginx import processes

_APPEARS = 1.0
_ENDS = 2.0
_STEP = 0.005


def end(folder: Path, status: int | None) -> None:
    """End what an nginx of this folder left behind. `status`: its own exit status; it is 0 where it detached itself.

    It serves nobody: no worker of ours would ever reload it.
    """
    if status != 0:
        return
    # It bears its title a moment after the process that we started has ended.
    _wait(lambda: bool(processes.orphans_of(folder)), _APPEARS)
    # The second SIGKILL is for workers whose master ended by the first.
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        for identity in processes.orphans_of(folder):
            identity.send_signal(number)
        if _wait(lambda: not processes.orphans_of(folder), _ENDS):
            return


def _wait(condition: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True
