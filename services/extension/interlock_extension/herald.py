"""Saying on the bus what the proxy runs: at once when it changed, and as a heartbeat every second. Shell."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import msgspec

from interlock.bus.connection import Bus
from interlock.bus.outcomes import Outcomes
from interlock.errors import BusError
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome

HEARTBEAT = 1.0
_AGAIN = 0.2
_MOST_PENDING = 64
_FAILED_TTL = 15.0


class Herald:
    """Publishes from a thread of its own, so that a slow bus never delays the proxy.

    `may`: whether to speak for the proxy now; who may not is silent, and what it had to say is forgotten.
    """

    def __init__(self, bus: Bus, cluster: Cluster, present: Outcome, may: Callable[[], bool] = lambda: True) -> None:
        self._outcomes = Outcomes(bus)
        self._cluster = cluster
        self._present = present
        self._may = may
        self._news: list[Outcome] = []
        self._changed = threading.Condition()
        self._failed = False
        self.reached_at = 0.0
        """When the bus last took what was said, in seconds of the monotonic clock; 0 before."""

    @property
    def present(self) -> Outcome:
        """What is or will be published."""
        with self._changed:
            return self._present

    def say(self, outcome: Outcome, *, news: bool) -> None:
        """Replace the present outcome; `news` is published at once and logged on the bus."""
        with self._changed:
            if self._failed:
                return
            self._present = outcome
            if news:
                # While the bus is away only the latest are worth telling.
                self._news = [*self._news, outcome][-_MOST_PENDING:]
                self._changed.notify()

    def run(self, stop: threading.Event) -> None:
        """The loop of the herald's thread."""
        while not stop.is_set():
            with self._changed:
                if not self._news:
                    self._changed.wait(HEARTBEAT)
                batch, self._news = self._news, []
                present = self._present
                if self._failed:
                    return
            if not self._may():
                continue
            try:
                for outcome in batch:
                    self._outcomes.publish(self._cluster, outcome, news=True)
                if not batch:
                    self._outcomes.publish(self._cluster, present, news=False)
                self.reached_at = time.monotonic()
            except BusError:
                with self._changed:
                    self._news = [*batch, *self._news][-_MOST_PENDING:]
                stop.wait(_AGAIN)

    def fail(self, why: str) -> None:
        """Say that nobody acts for the proxy any more until it is tried again; these are the last words."""
        with self._changed:
            self._failed = True
        if not self._may():
            return
        reason = f"not acted for: {why}; it is tried again every few seconds"
        present = msgspec.structs.replace(self.present, result="rejected", reason=reason, at=time.time())
        with contextlib.suppress(BusError):
            self._outcomes.publish(self._cluster, present, news=True, ttl=_FAILED_TTL)

    def farewell(self) -> None:
        """Say that the proxy ends, if the bus can be asked."""
        present = msgspec.structs.replace(self.present, result="starting", reason="stopped")
        try:
            self._outcomes.publish(self._cluster, present, news=True, ttl=0.001)
        except BusError:
            return
