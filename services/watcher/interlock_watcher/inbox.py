"""What `watch` leaves for `publish`: which services changed and why, and how far the listings are. Thread-safe.

Folds while the publisher is busy. It carries reasons only: the publisher reads the present state itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from interlock.sync.coalesce import Coalescer
from interlock.wire.trail import Trail


class Sink(Protocol):
    """Where changes go: the publisher."""

    def offer(self, changes: Mapping[str, Trail]) -> None:
        """These services changed, and why."""

    def listed(self, ticket: int) -> None:
        """A listing that began with this ticket has been applied."""


class Inbox:
    """The publisher's inbox. `wake` is set by whatever arrives; the publisher waits for it and clears it."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self._lock = threading.Lock()
        self._changes: Coalescer[str] = Coalescer()
        self._listed = 0
        self._unverified = False

    @property
    def folded(self) -> int:
        """How many changes were folded into one that waited already."""
        return self._changes.folded

    @property
    def listed_ticket(self) -> int:
        """With which ticket the latest listing that has been applied began."""
        return self._listed

    def offer(self, changes: Mapping[str, Trail]) -> None:
        """These services changed, and why."""
        with self._lock:
            self._changes.offer(changes)
        self.wake.set()

    def listed(self, ticket: int) -> None:
        """A listing that began with this ticket has been applied."""
        with self._lock:
            self._listed = max(self._listed, ticket)
            self._unverified = True
        self.wake.set()

    def take(self) -> dict[str, Trail]:
        """Everything that changed since the last call."""
        with self._lock:
            return self._changes.take()

    def take_listed(self) -> bool:
        """Whether there was a listing since the last call."""
        with self._lock:
            listed, self._unverified = self._unverified, False
        return listed
