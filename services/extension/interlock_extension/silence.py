"""Endpoints that stopped answering though Docker still counts on them: pure bookkeeping over `Desired`.

Whoever keeps the proxy waiting is looked at by the prober; who does not accept then gets no request until it does
again.
Where nobody of an upstream answers, all are kept: then it may be us.
"""

from __future__ import annotations

from collections.abc import Iterable

from interlock_extension.admission import Key
from interlock_extension.desired import Desired


class Silence:
    """Who is being looked at."""

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._looked_at: set[Key] = set()

    def stalled(self, peers: frozenset[tuple[str, int]]) -> frozenset[Key]:
        """Whom to look at, of those whose address and port kept the proxy waiting."""
        found = {key for key in self._desired.accepted if key[:2] in peers}
        new = frozenset(found - self._looked_at - self._desired.silent)
        self._looked_at |= new
        return new

    def tried(self, key: Key, *, accepted: bool) -> frozenset[str]:
        """The prober has tried one; the hosts that this touches."""
        mine = key in self._looked_at
        self._looked_at.discard(key)
        if accepted:
            return self._desired.hear(key)
        return self._desired.hush(key) if mine else frozenset()

    def forget(self, keys: Iterable[Key]) -> None:
        """They are gone from the plan."""
        self._looked_at.difference_update(keys)
