"""Acting for one service cluster while its lease is held: a worker and its threads, which end without the process.

Built by `app`, begun and stopped by the pool's loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from interlock.runtime.logging import get_logger

_JOIN = 3.0

Loop = Callable[[threading.Event], None]


class Seat:
    """`act`: the worker's loop, the only one that writes to the proxy; `loops`: what it lives on, by name.

    `fail(why)` ends the process: a loop that fails would otherwise leave a cluster that nobody acts for. `closers` are
    called when all have ended.
    """

    def __init__(
        self,
        name: str,
        act: Loop,
        loops: Mapping[str, Loop],
        *,
        fail: Callable[[str], None],
        closers: tuple[Callable[[], None], ...] = (),
    ) -> None:
        self._name = name
        self._fail = fail
        self._closers = closers
        self._stop = threading.Event()
        self._worker = self._thread("worker", act)
        self._others = [self._thread(what, loop) for what, loop in loops.items()]
        for thread in (self._worker, *self._others):
            thread.start()

    def stop(self) -> None:
        """Come to rest; returns at once."""
        self._stop.set()

    @property
    def rests(self) -> bool:
        """Whether nothing of it writes to the proxy any more."""
        return not self._worker.is_alive()

    @property
    def ended(self) -> bool:
        """Whether all of it has ended."""
        return self.rests and not any(thread.is_alive() for thread in self._others)

    def close(self) -> None:
        """Wait for its end, and give free what it holds."""
        self._stop.set()
        for thread in (self._worker, *self._others):
            thread.join(_JOIN)
        for close in self._closers:
            close()

    def _thread(self, what: str, loop: Loop) -> threading.Thread:
        return threading.Thread(target=self._run, args=(what, loop), name=f"{self._name}-{what}", daemon=True)

    def _run(self, what: str, loop: Loop) -> None:
        try:
            loop(self._stop)
        except Exception:  # noqa: BLE001  # a supervisor: whatever it is, it is logged and ends the process
            get_logger(service="extension").exception("a thread failed", cluster=self._name, thread=what)
        else:
            if self._stop.is_set():
                return
        self._fail(f"{self._name}: {what} ended")
