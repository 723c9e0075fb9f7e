"""How long a change waits for the first probe of its new endpoints, so that both are one apply. Pure: time is given."""

from __future__ import annotations

from collections.abc import Iterable, Set

from interlock_extension.admission import Key

FIRST_RESULTS = 0.01
"""Seconds that a change waits at most."""

FIRST_RESULTS_OF_ALL = 1.0
"""The same after a snapshot, when all endpoints of an unknown past may be new."""


class Patience:
    """Which endpoints the prober was given, and which of them it has not tried yet."""

    def __init__(self) -> None:
        self._probing: set[Key] = set()
        self._untried: set[Key] = set()
        self._until = 0.0

    @property
    def until(self) -> float:
        """When to wait no longer; 0 when nothing is waited for."""
        return self._until if self._untried else 0.0

    def hand_over(self, fresh: Set[Key], now: float, wait: float) -> frozenset[Key]:
        """Those of `fresh` that the prober does not have yet. Of others it says nothing new: nobody waits for them."""
        new = frozenset(fresh - self._probing)
        if new and not self._untried:
            self._until = now + wait
        self._untried |= new
        self._probing |= new
        return new

    def tried(self, key: Key, *, accepted: bool) -> None:
        """The prober has said something."""
        self._untried.discard(key)
        if accepted:
            self._probing.discard(key)

    def forget(self, keys: Iterable[Key]) -> None:
        """The prober was told to forget them."""
        self._untried.difference_update(keys)
        self._probing.difference_update(keys)

    def hurry(self, now: float, wait: float) -> None:
        """Something must be let go: from now on wait no longer than this."""
        self._until = min(self._until, now + wait)
