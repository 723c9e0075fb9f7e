"""Workers of earlier reloads, which end with their last connections: since when, and which must end now. Shell."""

from __future__ import annotations

import time
from collections.abc import Iterable

from interlock.runtime.logging import get_logger
from interlock_extension.machine import processes
from interlock_extension.machine.ending import end_overdue
from interlock_extension.machine.generations import Bounds, OldWorker


class OldWorkers:
    """Of one HAProxy. `ended`: how many did not end by themselves in time."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.ended = 0
        self._since: dict[int, tuple[int, float]] = {}
        self._order = 0
        self._log = get_logger(service="extension", proxy="haproxy")

    def see(self, pids: Iterable[int]) -> None:
        """Those that there are."""
        self._order += 1
        self._since = {pid: self._since.get(pid, (self._order, time.monotonic())) for pid in pids}

    def tend(self, pids: Iterable[int]) -> tuple[int, int]:
        """End what is past its bounds; how many there are, and the bytes that they hold."""
        self.see(pids)
        old = [
            OldWorker(pid=pid, generation=order, age=time.monotonic() - since, memory=processes.resident(pid))
            for pid, (order, since) in self._since.items()
        ]
        self.ended += end_overdue(old, self.bounds, self._log)
        return len(old), sum(worker.memory for worker in old)
