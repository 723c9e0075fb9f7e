"""Reloads of one HAProxy by its master, and old workers that hand over what they are still asked. Shell."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from interlock.errors import ProxyUnavailable
from interlock.runtime.logging import get_logger
from interlock.runtime.process import Identity
from interlock_extension.haproxy.old import OldWorkers
from interlock_extension.haproxy.runtime import Runtime
from interlock_extension.machine.ending import end, wait

APPLY_TIMEOUT = 60.0
"""Seconds that HAProxy may take to load; 10,000 hosts take about one."""

_STEP = 0.001
_ENDS = 1.0
_RETIRES = 2.0


class Reloads:
    """Of the HAProxy that `runtime` speaks to; its old workers are shown to `old`."""

    def __init__(self, runtime: Runtime, old: OldWorkers, clock: Callable[[], float]) -> None:
        self._runtime = runtime
        self._old = old
        self._clock = clock
        self._retired: set[int] = set()
        self._log = get_logger(service="extension", proxy="haproxy")

    def reload(self, master: Identity, answers: Callable[[], bool]) -> float:
        """The time from which the new worker `answers`. Raises `ProxyUnavailable`."""
        deadline = time.monotonic() + APPLY_TIMEOUT
        while not self._runtime.reload():
            self._still(master, deadline, "HAProxy's master does not listen")
        at = self._clock()
        while not answers():
            workers = self._runtime.workers()
            if workers and workers.failed:
                why = self._runtime.startup_log() or "reload it by hand to see why"
                raise ProxyUnavailable(f"HAProxy takes its files but could not be reloaded: {why}")
            self._still(master, deadline, "HAProxy does not answer with the new configuration")
            at = self._clock()
        return at

    def let_go(self, master: Identity) -> float:
        """From when no old worker decides anything: each hands what it is still asked to the newest.

        Raises `ProxyUnavailable`.
        """
        deadline = time.monotonic() + APPLY_TIMEOUT
        # In 2.6 the master does not answer for a moment after a reload.
        while (workers := self._runtime.workers()) is None or workers.serving is None:
            self._still(master, deadline, "HAProxy's master does not tell its workers")
        self._retired &= set(workers.old)
        for pid in workers.old:
            if pid not in self._retired:
                self._retire(pid)
                self._retired.add(pid)
        self._old.see(workers.old)
        return self._clock()

    def _retire(self, pid: int) -> None:
        # One that ends just now does not listen any more.
        if wait(lambda: self._runtime.retire(pid) or Identity.of(pid) is None, _RETIRES):
            return
        self._log.error("an old worker cannot be told to hand requests over, and is ended", pid=pid)
        identity = Identity.of(pid)
        if identity is not None:
            end(identity, (signal.SIGTERM, _ENDS))

    def _still(self, master: Identity, deadline: float, what: str) -> None:
        if not master.alive():
            raise ProxyUnavailable("HAProxy ended while it was reloaded")
        if time.monotonic() > deadline:
            raise ProxyUnavailable(f"{what} after {APPLY_TIMEOUT:g} s")
        time.sleep(_STEP)
