"""Endpoints that stopped answering though Docker still counts on them: pure bookkeeping over `Desired`.

Whoever keeps the proxy waiting is looked at by the prober; who does not accept then gets no request until it does
again. Where nobody of an upstream answers, all are kept: then it may be us. Who falls silent again soon after it was
heard is overloaded rather than lost: it stays out twice as long each time, or each of its breaths would cost a reload.
A virtual IP is never silent: that one of the tasks behind it does not answer says nothing of the others.
"""

from __future__ import annotations

from collections.abc import Iterable

from interlock.model.routing import VIP
from interlock_extension.admission import Key
from interlock_extension.desired import Desired

RELAPSE = 60.0
"""Seconds within which falling silent again counts as a relapse."""

LONGEST = 30.0
"""Seconds that an endpoint which answers may have to stay out at most."""

_MOST_DOUBLINGS = 8


class Silence:
    """Who is being looked at, and who must wait though it answers. Times are monotonic seconds."""

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._looked_at: set[Key] = set()
        self._falls: dict[Key, tuple[int, float]] = {}
        self._ready: set[Key] = set()

    def stalled(self, peers: frozenset[tuple[str, int]]) -> frozenset[Key]:
        """Whom to look at, of those whose address and port kept the proxy waiting."""
        found = {key for key in self._desired.accepted if key[:2] in peers and not self._virtual(key)}
        new = frozenset(found - self._looked_at - self._desired.silent)
        self._looked_at |= new
        return new

    def _virtual(self, key: Key) -> bool:
        endpoint = self._desired.endpoint(key)
        return endpoint is not None and endpoint.task == VIP

    def tried(self, key: Key, *, accepted: bool, now: float) -> frozenset[str]:
        """The prober has tried one; the hosts that this touches."""
        mine = key in self._looked_at
        self._looked_at.discard(key)
        if not accepted:
            return self._fall(key, now) if mine else frozenset()
        if key in self._desired.silent:
            self._ready.add(key)
        return self.due(now)

    def _fall(self, key: Key, now: float) -> frozenset[str]:
        hosts = self._desired.hush(key)
        if hosts:
            times, at = self._falls.get(key, (0, now))
            self._falls[key] = (times + 1 if now - at < RELAPSE else 1, now)
        return hosts

    def due(self, now: float) -> frozenset[str]:
        """Those that answer and have been out for long enough come back; the hosts that this touches."""
        back = {key for key in self._ready if now >= self._until(key)}
        self._ready -= back
        return frozenset(host for key in back for host in self._desired.hear(key))

    def _until(self, key: Key) -> float:
        times, at = self._falls.get(key, (1, 0.0))
        return at if times < 2 else at + min(LONGEST, 2.0 ** min(times - 1, _MOST_DOUBLINGS))

    def forget(self, keys: Iterable[Key]) -> None:
        """They are gone from the plan."""
        gone = set(keys)
        self._looked_at -= gone
        self._ready -= gone
        for key in gone:
            self._falls.pop(key, None)
