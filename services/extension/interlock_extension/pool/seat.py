"""Acting for one service cluster while its lease is held: a worker and its threads, which end without the process.

Built by `app`, begun and stopped by the pool's loop.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping

from interlock.errors import InterlockError
from interlock.runtime.logging import get_logger

_JOIN = 3.0
_MOST_SHOWN = 300

Loop = Callable[[threading.Event], None]


def words(error: Exception) -> str:
    """What happened, for people; of what nobody expected the type is the better half."""
    return str(error) if isinstance(error, InterlockError) else f"{type(error).__name__}: {error}"[:_MOST_SHOWN]


class Failures:
    """Tells what nobody expected: with its traceback once for each kind, then by a line. For any thread.

    Two are of a kind if the same type was raised at the same place, for whichever cluster.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, int]] = set()
        self._lock = threading.Lock()
        self._log = get_logger(service="extension")

    def tell(self, cluster: str, thread: str, error: Exception) -> str:
        """Log it as an error; what happened, for people."""
        what = words(error)
        place = traceback.extract_tb(error.__traceback__)[-1:]
        kind = (type(error).__qualname__, place[0].filename if place else "", place[0].lineno or 0 if place else 0)
        with self._lock:
            known = kind in self._seen
            self._seen.add(kind)
        self._log.error(
            "a mistake in the extension, or in Interlock: the cluster is not acted for",
            cluster=cluster,
            thread=thread,
            error=what,
            **({} if known else {"exc_info": error}),
        )
        return what


class Seat:
    """`act`: the worker's loop, the only one that writes to the proxy; `loops`: what it lives on, by name.

    When one of them fails or ends by itself, all are stopped: others would act on what is no longer kept up. `failed`
    then says why, and `on_failure(why)` was called. `closers` are called when all have ended.
    """

    def __init__(
        self,
        name: str,
        act: Loop,
        loops: Mapping[str, Loop],
        *,
        failures: Failures,
        on_failure: Callable[[str], None] = lambda _: None,
        closers: tuple[Callable[[], None], ...] = (),
    ) -> None:
        self.failed = ""
        self._name = name
        self._failures = failures
        self._on_failure = on_failure
        self._closers = closers
        self._stop = threading.Event()
        self._failing = threading.Lock()
        self._worker = self._thread("worker", act)
        self._others = [self._thread(what, loop) for what, loop in loops.items()]
        try:
            for thread in (self._worker, *self._others):
                thread.start()
        except RuntimeError:
            # No more threads: those that run must not act for a seat that nobody has.
            self._stop.set()
            for thread in filter(threading.Thread.is_alive, (self._worker, *self._others)):
                thread.join(_JOIN)
            raise

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
        except Exception as error:  # noqa: BLE001  # a supervisor: whatever it is, it is logged and ends the seat
            self._fail(self._failures.tell(self._name, what, error))
        else:
            if not self._stop.is_set():
                self._fail(f"its {what} ended")

    def _fail(self, why: str) -> None:
        with self._failing:
            first, self.failed = not self.failed, self.failed or why
        self._stop.set()
        if first:
            self._on_failure(why)
