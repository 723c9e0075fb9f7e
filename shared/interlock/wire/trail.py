"""The trail of a change: what made us look, and when each hop had it. Carried from the watcher to the outcome."""

from __future__ import annotations

from typing import Literal

import msgspec

CauseKind = Literal["event", "poll", "resync", "settle", "lease", "probe", "dns", "refusal"]

HOPS = ("docker", "seen", "published", "received", "planned", "applying", "effective")
"""The hops in order.

`docker`: Docker's own time of the event or task state; `seen`: the watcher read it; `published`: it is on the bus;
`received`: by the planner; `planned`: the plan is on the bus; `applying`: the worker starts; `effective`: proven.
"""

_MOST_CAUSES = 8


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What made us look. `id` is unique; `at` is Unix seconds of the thing itself."""

    id: str
    kind: CauseKind
    what: str = ""
    at: float = 0.0


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """Causes (oldest first, at most eight) and the Unix seconds at which each hop had the oldest of them."""

    causes: tuple[Cause, ...] = ()
    hops: dict[str, float] = {}

    def hop(self, name: str, at: float) -> Trail:
        """This trail with one more hop."""
        return Trail(causes=self.causes, hops={**self.hops, name: at})

    def merge(self, other: Trail) -> Trail:
        """Two changes folded into one: all causes, and of each hop the earlier time, so that waiting is counted."""
        seen = {cause.id: cause for cause in (*self.causes, *other.causes)}
        causes = tuple(sorted(seen.values(), key=lambda c: c.at))[:_MOST_CAUSES]
        hops = dict(self.hops)
        for name, at in other.hops.items():
            hops[name] = min(at, hops[name]) if name in hops else at
        return Trail(causes=causes, hops=hops)
