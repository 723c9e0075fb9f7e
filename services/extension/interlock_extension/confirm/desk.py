"""The worker's side of the confirmation: whom to ask about, and what becomes of the verdicts.

For the worker's thread alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from interlock.model.outcome import Denied
from interlock.model.routing import Endpoint
from interlock.runtime.logging import get_logger
from interlock_extension.admission import Key
from interlock_extension.confirm.doubt import Doubt
from interlock_extension.confirm.loop import Confirmer
from interlock_extension.confirm.verdict import Ruling, Subjects
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
        self._held = True
        self._unknown: set[Key] = set()
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
        self._doubt.see(stale=stale, now=now)
        # Doubt ends by itself, with time: what held is what held at the last turn.
        held, self._held = self._held, self._doubt.holds(now)
        holds = self._held
        self._changed |= held != holds
        hosts: frozenset[str] = frozenset()
        if held and not holds:
            hosts = self.rule(Ruling(allow=frozenset(self._unknown)))
        if self._changed and now >= self._hand_over_at:
            self._hand_over(self._confirmer, holds, now)
        return hosts

    def _hand_over(self, confirmer: Confirmer, holds: bool, now: float) -> None:
        self._changed, self._hand_over_at = False, now + _PACE
        if holds:
            confirmer.look(self._all())
        else:
            # Confirmed or gone, nobody is left to ask about.
            confirmer.look(self._subjects(filter(None, map(self._desired.endpoint, self._desired.denied))))

    def _subjects(self, endpoints: Iterable[Endpoint]) -> Subjects:
        self._unknown &= self._desired.denied.keys()
        return Subjects(
            endpoints=tuple(endpoints), denied=frozenset(self._desired.denied), unknown=frozenset(self._unknown)
        )

    def _all(self) -> Subjects:
        return self._subjects(self._desired.endpoints().values())

    def rule(self, ruling: Ruling) -> frozenset[str]:
        """Deny and allow; the hosts that this touches."""
        denied, allowed = self._desired.deny(ruling.deny), self._desired.allow(ruling.allow)
        self._unknown = (self._unknown - ruling.deny.keys() - ruling.allow) | ruling.unknown
        for key in denied:
            self._say("an address is the endpoint's no longer, and gets no requests", key, ruling.deny[key])
        for key in allowed:
            self._say("an address is the endpoint's again", key, "the plan is fresh, or DNS confirms it")
        self._changed |= bool(ruling)
        return frozenset(host for hosts in (*denied.values(), *allowed.values()) for host in hosts)

    def _say(self, what: str, key: Key, why: str) -> None:
        endpoint = self._desired.endpoint(key)
        service = endpoint.service if endpoint else ""
        self._log.warning(what, service=service, address=f"{key.address}:{key.port}", task=key.task, why=why)
