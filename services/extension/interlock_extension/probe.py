"""Finding out what listens: non-blocking connects of one thread, quick at first and slower while refused. Shell.

Only asks; who gets requests is `admission`'s to say.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable

from interlock_extension.admission import Key

FIRST_WAIT = 0.02
LONGEST_WAIT = 1.0
_GROWTH = 1.3
_CONNECT_TIMEOUT = 0.3
_MOST_AT_ONCE = 256


class Prober:
    """Connects to every endpoint that it is told to watch until it accepts.

    `tell(key, accepted)` is called from the prober's thread after each endpoint's first attempt and at acceptance.
    """

    def __init__(self) -> None:
        self._tell: Callable[[Key, bool], None] = lambda _key, _accepted: None
        self._lock = threading.Lock()
        self._watched: dict[Key, float] = {}
        self._due: list[tuple[float, Key]] = []
        self._under_way: dict[Key, tuple[socket.socket, float]] = {}
        self._untried: set[Key] = set()
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)

    def watch(self, keys: Iterable[Key]) -> None:
        """Probe these too, at once."""
        now = time.monotonic()
        with self._lock:
            for key in keys:
                if key not in self._watched:
                    self._watched[key] = FIRST_WAIT
                    self._untried.add(key)
                    heapq.heappush(self._due, (now, key))
        self._wake()

    def forget(self, keys: Iterable[Key]) -> None:
        """Probe these no more."""
        with self._lock:
            for key in keys:
                self._watched.pop(key, None)
                self._untried.discard(key)

    def run(self, tell: Callable[[Key, bool], None], stop: threading.Event) -> None:
        """The loop of the prober's thread."""
        self._tell = tell
        try:
            while not stop.is_set():
                self._begin()
                for chosen, _ in self._selector.select(self._until_next()):
                    if chosen.data is None:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_read, 4096)
                    else:
                        self._connected(chosen.data)
                self._give_up()
        finally:
            self._close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")

    def _until_next(self) -> float:
        with self._lock:
            next_at = self._due[0][0] if self._due and len(self._under_way) < _MOST_AT_ONCE else None
        times = [at + _CONNECT_TIMEOUT for _, at in self._under_way.values()]
        if next_at is not None:
            times.append(next_at)
        # Bounded, so that a stop is seen.
        return min(0.2, max(0.0, min(times) - time.monotonic())) if times else 0.2

    def _begin(self) -> None:
        now = time.monotonic()
        while len(self._under_way) < _MOST_AT_ONCE:
            with self._lock:
                if not self._due or self._due[0][0] > now:
                    return
                _, key = heapq.heappop(self._due)
                if key not in self._watched or key in self._under_way:
                    continue
            self._connect(key, now)

    def _connect(self, key: Key, now: float) -> None:
        family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
        link = socket.socket(family, socket.SOCK_STREAM)
        link.setblocking(False)
        try:
            outcome = link.connect_ex((key.address, key.port))
        except (OSError, OverflowError):
            outcome = errno.EINVAL
        if outcome == errno.EINPROGRESS:
            self._under_way[key] = (link, now)
            self._selector.register(link, selectors.EVENT_WRITE, key)
            return
        link.close()
        self._result(key, outcome == 0)

    def _connected(self, key: Key) -> None:
        link, _ = self._under_way.pop(key)
        self._selector.unregister(link)
        accepted = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        link.close()
        self._result(key, accepted)

    def _give_up(self) -> None:
        now = time.monotonic()
        for key in [key for key, (_, at) in self._under_way.items() if now - at >= _CONNECT_TIMEOUT]:
            link, _ = self._under_way.pop(key)
            self._selector.unregister(link)
            link.close()
            self._result(key, False)

    def _result(self, key: Key, accepted: bool) -> None:
        with self._lock:
            wait = self._watched.get(key)
            if wait is None:
                return
            first = key in self._untried
            self._untried.discard(key)
            if accepted:
                del self._watched[key]
            else:
                self._watched[key] = min(LONGEST_WAIT, wait * _GROWTH)
                heapq.heappush(self._due, (time.monotonic() + wait, key))
        if accepted or first:
            self._tell(key, accepted)

    def _close(self) -> None:
        for link, _ in self._under_way.values():
            link.close()
        self._under_way.clear()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
