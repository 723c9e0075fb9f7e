"""Ending an nginx that detached itself from who started it. Shell."""

from __future__ import annotations

import signal
from pathlib import Path

from interlock_extension.machine.ending import wait
from interlock_extension.nginx import family

_APPEARS = 1.0
_ENDS = 2.0


def end_detached(folder: Path, status: int | None) -> None:
    """End what an nginx of this folder left behind; its file lacked `daemon off`, and no worker could reload it.

    `status`: its own exit status, which is 0 then.
    """
    if status != 0:
        return
    # It bears its title a moment after the process that was started has ended.
    wait(lambda: bool(family.orphans_of(folder)), _APPEARS)
    # The second SIGKILL is for workers whose master ended by the first.
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        for identity in family.orphans_of(folder):
            identity.send_signal(number)
        if wait(lambda: not family.orphans_of(folder), _ENDS):
            return
