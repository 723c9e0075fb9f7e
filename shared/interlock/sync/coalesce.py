"""Folding changes: while its taker is busy, the changes of one key become one, with all their causes.

Pure and not thread-safe; its owner holds the lock. What is folded is the *reason* to look at a key: the taker reads the
present state of the key itself, so that the newest always wins and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from interlock.wire.trail import Trail

K = TypeVar("K", bound=Hashable)


class Coalescer(Generic[K]):
    """Keys that changed, in the order in which they first did, each with the merged trail of its changes."""

    def __init__(self) -> None:
        self._pending: dict[K, Trail] = {}
        self.folded = 0

    def offer(self, changes: Mapping[K, Trail]) -> None:
        """Add changes; a key that waits already keeps its place."""
        for key, trail in changes.items():
            waiting = self._pending.get(key)
            if waiting is not None:
                self.folded += 1
            self._pending[key] = trail if waiting is None else waiting.merge(trail)

    def take(self) -> dict[K, Trail]:
        """Everything that waits, which then waits no more."""
        taken, self._pending = self._pending, {}
        return taken

    def __bool__(self) -> bool:
        return bool(self._pending)

    def __len__(self) -> int:
        return len(self._pending)
