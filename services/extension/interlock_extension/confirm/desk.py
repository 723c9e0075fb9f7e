"""The worker's side of the confirmation: whom to ask about, and what becomes of the verdicts.

For the worker's thread alone.
"""

from __future__ import annotations

from interlock.model.outcome import Denied
from interlock.runtime.logging import get_logger
from interlock_extension.admission import Key
from interlock_extension.confirm.doubt import Doubt
from interlock_extension.confirm.loop import Confirmer
from interlock_extension.confirm.verdict import Ruling, Subjects, is_anothers
from interlock_extension.desired import Desired

_MOST_SHOWN = 50
_PACE = 0.1
"""Seconds between two hand-overs: each costs the plan's size."""


class Desk:
    """`confirmer`: None where there is no DNS to confirm with; then nothing is ever denied."""

    def __init__(self, desired: Desired, confirmer: Confirmer | None) -> None:
        self._desired = desired
        self._confirmer = confirmer
        self._doubt = Doubt()
        self._changed = True
        self._hand_over_at = 0.0
        self._log = get_logger(service="extension")

    @property
    def denied(self) -> tuple[Denied, ...]:
        """What is denied at present, for people."""
        found = []
        for key, why in sorted(self._desired.denied.items())[:_MOST_SHOWN]:
            endpoint = self._desired.endpoint(key)
            if endpoint:
                found.append(Denied(service=endpoint.service, address=f"{key.address}:{key.port}", why=why))
        return tuple(found)

    def before_start(self) -> frozenset[str]:
        """Ask once about all that was last good, before anything is sent there; the hosts that this touches.

        Only what is certain at once is denied: an address that is another's, or that DNS leaves out of others.
        """
        if self._confirmer is None or not self._desired.upstreams:
            return frozenset()
        return self.rule(self._confirmer.once(self._all()))

    def changed(self) -> None:
        """The plan is another."""
        self._changed = True

    def tend(self, *, stale: bool, now: float) -> frozenset[str]:
        """Hand over whom to ask about, where that may differ. `now`: monotonic. Called in each turn of the loop.

        The hosts that this touches: a plan that is beyond doubt vouches for whom DNS merely did not know.
        """
        if self._confirmer is None:
            return frozenset()
        held = self._doubt.holds(now)
        self._doubt.see(stale=stale, now=now)
        holds = self._doubt.holds(now)
        self._changed |= held != holds
        hosts: frozenset[str] = frozenset()
        if held and not holds:
            unknown = frozenset(key for key, why in self._desired.denied.items() if not is_anothers(why))
            hosts = self.rule(Ruling(allow=unknown)) if unknown else hosts
        if self._changed and now >= self._hand_over_at:
            self._hand_over(self._confirmer, holds, now)
        return hosts

    def _hand_over(self, confirmer: Confirmer, holds: bool, now: float) -> None:
        self._changed, self._hand_over_at = False, now + _PACE
        if holds:
            confirmer.look(self._all())
        else:
            # Confirmed or gone, nobody is left to ask about.
            denied = frozenset(self._desired.denied)
            found = (self._desired.endpoint(key) for key in denied)
            confirmer.look(Subjects(endpoints=tuple(filter(None, found)), denied=denied))

    def _all(self) -> Subjects:
        return Subjects(endpoints=tuple(self._desired.endpoints().values()), denied=frozenset(self._desired.denied))

    def rule(self, ruling: Ruling) -> frozenset[str]:
        """Deny and allow; the hosts that this touches."""
        denied, allowed = self._desired.deny(ruling.deny), self._desired.allow(ruling.allow)
        for key in denied:
            self._say("an address is the endpoint's no longer, and gets no requests", key, ruling.deny[key])
        for key in allowed:
            self._say("an address is the endpoint's again", key, "the plan is fresh, or DNS confirms it")
        self._changed |= bool(denied or allowed)
        return frozenset(host for hosts in (*denied.values(), *allowed.values()) for host in hosts)

    def _say(self, what: str, key: Key, why: str) -> None:
        endpoint = self._desired.endpoint(key)
        service = endpoint.service if endpoint else ""
        self._log.warning(what, service=service, address=f"{key.address}:{key.port}", task=key.task, why=why)
