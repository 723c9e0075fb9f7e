"""The life of a service's process: signals set the stop event, threads are supervised, the end is orderly.

A thread that fails takes the process down with exit status 1, since a service with half its loops is worse than one
that its supervisor starts again. Composition roots make one Lifecycle, `spawn` their loops and `wait`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from interlock.runtime.logging import get_logger

PARENT_ENV = "INTERLOCK_STOP_WITH_PARENT"
_JOIN = 5.0
_PARENT_POLL = 0.2


class Lifecycle:
    """Stop event, supervised threads and closers of one service.

    `signals`: whether SIGTERM and SIGINT stop it (only for the main thread of a process of its own).
    `stop_with_parent`: stop when the parent process is gone; by default as the environment says
    (INTERLOCK_STOP_WITH_PARENT=1, or the parent's pid, which also covers a parent that died before we looked).
    """

    def __init__(self, service: str, *, signals: bool = True, stop_with_parent: bool | None = None) -> None:
        self.stop = threading.Event()
        self.failed = False
        self._log = get_logger(service=service)
        self._threads: list[tuple[threading.Thread, float]] = []
        self._closers: list[tuple[str, Callable[[], None]]] = []
        self._stoppers: list[Callable[[], None]] = []
        self._signal_count = 0
        self._interruptible = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        given = os.environ.get(PARENT_ENV, "")
        follow = bool(given and given != "0") if stop_with_parent is None else stop_with_parent
        self._parent = (int(given) if given.isdigit() and int(given) > 1 else os.getppid()) if follow else None
        # The C handler writes the number. Python's own runs between two instructions of the main thread, so never while
        # that waits, when the signal came just before the system call.
        self._wakeup_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False) if signals else -1
        self._before = {s: signal.signal(s, self._on_signal) for s in _SIGNALS} if signals else {}
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._watch_signals, name=f"{service}-signals", daemon=True)
        self._watch.start()

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """For work of the main thread at start that may take long and does not ask for stop: a signal ends it there.

        It ends with SystemExit, status 0, also where the signal was before. What is within must bear to be left
        anywhere. Nothing is different where signals are not ours.
        """
        self._interruptible = True
        try:
            if self._signal_count:
                raise SystemExit(0)
            yield
        finally:
            self._interruptible = False

    def spawn(
        self, name: str, target: Callable[[], None], *, once: bool = False, join_timeout: float = _JOIN
    ) -> threading.Thread:
        """Start a supervised daemon thread. An exception, or a return before stop unless `once`, is a failure.

        `join_timeout`: seconds after stop that it may take to end.
        """
        thread = threading.Thread(target=self._supervised, args=(name, target, once), name=name, daemon=True)
        self._threads.append((thread, join_timeout))
        thread.start()
        return thread

    def on_stop(self, interrupt: Callable[[], None]) -> None:
        """Call `interrupt` when stopping begins, before threads are joined: it ends reads that block."""
        self._stoppers.append(interrupt)

    def on_close(self, name: str, close: Callable[[], None]) -> None:
        """Call `close` after all threads ended; the last registered is called first."""
        self._closers.append((name, close))

    def fail(self, why: str) -> None:
        """End the process with status 1."""
        self._log.error("failed", why=why)
        self.failed = True
        self.stop.set()

    def wait(self) -> int:
        """Block until stop, join the threads in the order of their start, run the closers; the exit status."""
        self.stop.wait()
        return self.close()

    def close(self) -> int:
        """Stop, join and close at once; the exit status. Called by `wait`; may be called again."""
        self.stop.set()
        while self._stoppers:
            self._guarded("an interrupt", self._stoppers.pop())
        began = time.monotonic()
        for thread, join_timeout in self._threads:
            thread.join(max(0.0, began + join_timeout - time.monotonic()))
            if thread.is_alive():
                self._log.warning("a thread did not stop", thread=thread.name)
        self._threads.clear()
        while self._closers:
            self._guarded(*self._closers.pop())
        self._end_watch()
        return 1 if self.failed else 0

    def _guarded(self, name: str, close: Callable[[], None]) -> None:
        try:
            close()
        except Exception:  # noqa: BLE001  # one closer must not keep the others from closing
            self._log.exception("closing failed", what=name)

    def _end_watch(self) -> None:
        if self._done.is_set():
            return
        self._done.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._wakeup_before)
        os.write(self._wake_write, b"\0")
        self._watch.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _supervised(self, name: str, target: Callable[[], None], once: bool) -> None:
        try:
            target()
        except Exception:  # noqa: BLE001  # a supervisor: whatever it is, it is logged and ends the process
            self._log.exception("a thread failed; the process ends", thread=name)
        else:
            if once or self.stop.is_set():
                return
            self._log.error("a thread ended too early; the process ends", thread=name)
        self.failed = True
        self.stop.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # signal's own signature
        # Event.set() here could deadlock with an Event.wait() in the main thread: the thread that is woken sets it.
        self._signal_count += 1
        if self._signal_count > 2:
            os._exit(128 + number)
        if self._interruptible:
            self._interruptible = False
            raise SystemExit(0)

    def _watch_signals(self) -> None:
        while not self._done.is_set():
            ready, _, _ = select.select([self._wake_read], [], [], _PARENT_POLL if self._parent else None)
            number = os.read(self._wake_read, 1)[0] if ready else 0
            if number in _SIGNALS:
                self.stop.set()
                self._log.info("stopping", signal=signal.Signals(number).name)
            elif not ready and self._parent is not None and os.getppid() != self._parent:
                self.stop.set()
                self._log.warning("stopping: the parent process is gone", parent=self._parent)
                self._parent = None


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
