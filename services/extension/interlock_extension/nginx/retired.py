"""Workers that were told to leave: of which generation, since when, and which of them must end. Shell."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from interlock.runtime.logging import get_logger
from interlock_extension.machine import processes
from interlock_extension.machine.ending import end_overdue
from interlock_extension.machine.generations import Bounds, OldWorker
from interlock_extension.nginx import family
from interlock_extension.nginx.markers import Markers


class _Leave(NamedTuple):
    order: int
    generation: str
    """Empty where it is not known: the worker was adopted with its nginx."""
    since: float


class Retired:
    """The old workers of one nginx. `ended`: how many did not leave by themselves in time."""

    def __init__(self, markers: Markers, bounds: Bounds) -> None:
        self.bounds = bounds
        self.ended = 0
        self._markers = markers
        self._leaves: dict[int, _Leave] = {}
        self._unknown_since = time.monotonic()
        self._log = get_logger(service="extension", proxy="nginx")

    def forget(self) -> None:
        """Another nginx serves from now on."""
        self._leaves = {}
        self._unknown_since = time.monotonic()

    def add(self, pids: Iterable[int], generation: str) -> None:
        """They have been told to leave."""
        order = max((leave.order for leave in self._leaves.values()), default=0) + 1
        self._leaves.update(dict.fromkeys(pids, _Leave(order, generation, time.monotonic())))

    def tend(self, present: Iterable[int]) -> tuple[int, int]:
        """End what is past its bounds, of the processes that are there; how many old workers, and their bytes."""
        titles = {pid: title for pid in present if (title := processes.title(pid))}
        self._leaves = {pid: leave for pid, leave in self._leaves.items() if pid in titles}
        old = [self._seen(pid) for pid, title in titles.items() if title == family.LEAVING]
        self.ended += end_overdue(old, self.bounds, self._log)
        if all(worker.pid in self._leaves for worker in old):
            self._markers.clear(keep={leave.generation for leave in self._leaves.values()})
        return len(old), sum(worker.memory for worker in old)

    def _seen(self, pid: int) -> OldWorker:
        leave = self._leaves.get(pid, _Leave(0, "", self._unknown_since))
        return OldWorker(
            pid=pid,
            generation=leave.order,
            age=time.monotonic() - leave.since,
            memory=processes.resident(pid),
        )
