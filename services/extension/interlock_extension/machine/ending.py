"""Ending a process by steps, or old workers that are past their bounds, and waiting. Shell."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from interlock.runtime.process import Identity
from interlock_extension.machine.generations import Bounds, OldWorker, overdue

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger as Logger

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


def end_overdue(old: Sequence[OldWorker], bounds: Bounds, log: Logger) -> int:
    """End the old workers that are past their bounds, with their last connections, and say so; how many."""
    ended = 0
    for worker in overdue(old, bounds):
        identity = Identity.of(worker.pid)
        if identity is not None and identity.send_signal(signal.SIGTERM):
            ended += 1
            log.warning(
                "an old worker was ended with its last connections: too many, too large together, or a day old",
                seconds=round(worker.age, 1),
                held=worker.memory,
                most_for_all=bounds.memory,
            )
    return ended


def wait(condition: Callable[[], bool], timeout: float) -> bool:
    """Whether the condition came true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True
