"""How long changes take from Docker's word until all proxies of a cluster have them in effect. Pure.

A change waits for the proxies that were there when it was published. One that goes is not waited for, nor one that
comes later; without any, nobody is late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from interlock.model.outcome import Outcome
from interlock.model.version import Version
from interlock.wire.trail import CauseKind, Trail

ASK_AGAIN = 1.0
PATIENCE = 6.0
"""Seconds after which a proxy that has said nothing may be gone: a little more than its heartbeat lasts."""

_MOST = 10_000
_DOCKERS: frozenset[CauseKind] = frozenset({"event", "poll", "settle"})
"""Anything else is no news of Docker's."""


class _Change(msgspec.Struct, kw_only=True):
    """`since`, `published`: Unix seconds. `who`: the proxies that it waits for, None where they are not known yet."""

    version: Version
    since: float
    published: float
    who: set[str] | None
    at: dict[str, float]


class Spread:
    """The changes of one cluster that are not in effect everywhere, in one term of its planner."""

    def __init__(self) -> None:
        self._changes: list[_Change] = []
        self._live: set[str] | None = None
        self._asked = 0.0

    @property
    def waits(self) -> bool:
        """Whether there are any."""
        return bool(self._changes)

    def due(self, now: float) -> bool:
        """Whether proxies are to be heard although none has news: one that is waited for may be gone."""
        return self.waits and now - self._changes[0].published > PATIENCE and now - self._asked > ASK_AGAIN

    def published(self, version: Version, trail: Trail, at: float) -> None:
        """A change is on the bus as this version, or is included in it, where others have been folded into it."""
        for change in self._changes:
            # Versions of two generations have no order; the newer one is a whole plan, which includes all before.
            if change.version.generation != version.generation:
                change.version = version
        since = min((cause.at for cause in trail.causes if cause.kind in _DOCKERS), default=0.0)
        if since and self._live != set():
            who = None if self._live is None else set(self._live)
            change = _Change(version=version, since=since, published=at, who=who, at={})
            self._changes = [*self._changes, change][-_MOST:]

    def heard(self, said: Iterable[Outcome], live: Sequence[Outcome], now: float) -> list[float]:
        """The seconds that each change took which now is in effect everywhere.

        `said`: what proxies said since the last time, in that order; `live`: what those that live say.
        """
        self._asked = now
        self._live = {outcome.proxy for outcome in live}
        for outcome in (*said, *live) if self._changes else ():
            for change in self._changes:
                if change.version.within(outcome.version):
                    change.at.setdefault(outcome.proxy, _since(outcome))
        took, waiting = [], []
        for change in self._changes:
            change.who = self._live if change.who is None else change.who & self._live
            if not change.who <= change.at.keys():
                waiting.append(change)
            elif change.who:
                took.append(max(0.0, max(change.at[proxy] for proxy in change.who) - change.since))
        self._changes = waiting
        return took


def _since(outcome: Outcome) -> float:
    """Since when its version is in effect: where nothing had to be done for it, since that was known."""
    done = outcome.result in ("updated", "reloaded")
    return outcome.effective_at if done and outcome.effective_at is not None else outcome.at
