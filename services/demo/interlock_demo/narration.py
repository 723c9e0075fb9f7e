"""What happened, in words. Pure: hops of outcomes, routes before and after → lines for people.

A change is split by hop as `interlock.wire.trail` names them:

    Docker   from the task's (or service's) change to the watcher's look
    bus      watcher → planner → worker, transport only
    plan     planning
    wait     until a new task accepts its first connection, or until the apply that runs is over; left out if short
    nginx    from the worker's start to the proof that only the new configuration answers
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from interlock.inspection.view import RouteView
from interlock.model.outcome import Outcome

TRANSPORT = 20.0
"""Milliseconds from the plan to the worker's start that still count as transport."""

APPLIED = ("reloaded", "updated")
"""Results of an outcome that changed what a proxy does."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """One change on its way, in milliseconds."""

    docker: float
    bus: float
    plan: float
    wait: float
    proxy: float

    @property
    def total(self) -> float:
        """From Docker's own time of the change to effective."""
        return self.docker + self.bus + self.plan + self.wait + self.proxy

    def __str__(self) -> str:
        parts = [f"Docker {self.docker:.0f}", f"bus {self.bus:.0f}", f"plan {self.plan:.0f}"]
        if self.wait:
            parts.append(f"wait {self.wait:.0f}")
        return ", ".join([*parts, f"nginx {self.proxy:.0f}"])


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that a load made, and how many of them failed."""

    requests: int = 0
    failed: int = 0

    def since(self, before: Counted) -> Counted:
        """Those after `before`."""
        return Counted(requests=self.requests - before.requests, failed=self.failed - before.failed)

    def __str__(self) -> str:
        return f"{self.failed:,} of {self.requests:,} requests failed"


def split(hops: Mapping[str, float]) -> Split | None:
    """The times between a trail's hops; None where one is missing: the change was not seen from its beginning."""
    try:
        docker, seen, published = hops["docker"], hops["seen"], hops["published"]
        received, planned = hops["received"], hops["planned"]
        applying, effective = hops["applying"], hops["effective"]
    except KeyError:
        return None
    # Clocks of several machines, and folded changes, may put a hop before the one that it follows.
    between = [max(0.0, (b - a) * 1000) for a, b in ((docker, seen), (seen, published), (published, received))]
    to_worker = max(0.0, (applying - planned) * 1000)
    wait = to_worker if to_worker > TRANSPORT else 0.0
    return Split(
        docker=between[0],
        bus=between[1] + between[2] + (to_worker - wait),
        plan=max(0.0, (planned - received) * 1000),
        wait=wait,
        proxy=max(0.0, (effective - applying) * 1000),
    )


def applied(outcomes: Iterable[Outcome]) -> list[Split]:
    """The splits of those outcomes that changed what a proxy does."""
    found = (split(o.hops) for o in outcomes if o.result in APPLIED)
    return [one for one in found if one is not None]


def effective(what: str, splits: Sequence[Split], counted: Counted) -> str:
    """The line of a change that has become effective, in one step or several."""
    if not splits:
        return f"{what}: effective · {counted}"
    if len(splits) == 1:
        return f"{what}: effective in {splits[0].total:.0f} ms ({splits[0]}) · {counted}"
    totals = sorted(s.total for s in splits)
    times = f"{totals[0]:.0f} to {totals[-1]:.0f} ms"
    return f"{what}: {len(splits)} steps, each effective in {times} (at the median {median(splits)}) · {counted}"


def median(splits: Sequence[Split]) -> Split:
    """The split whose total is the median (the upper one of two): a real one, so that its parts add up."""
    wanted = statistics.median_high(s.total for s in splits)
    return next(s for s in splits if s.total == wanted)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints of a service: serving, and draining. The tasks are kept to tell a replacement from nothing."""

    serving: frozenset[str] = frozenset()
    draining: frozenset[str] = frozenset()


def tallies(routes: Iterable[RouteView]) -> dict[str, Tally]:
    """The endpoints of every service that is routed."""
    serving: dict[str, set[str]] = {}
    draining: dict[str, set[str]] = {}
    for route in routes:
        for name in route.services:
            serving.setdefault(name, set())
        for endpoint in route.endpoints:
            side = draining if endpoint.draining else serving
            side.setdefault(endpoint.service, set()).add(endpoint.task)
    return {
        name: Tally(serving=frozenset(serving.get(name, ())), draining=frozenset(draining.get(name, ())))
        for name in {*serving, *draining}
    }


def changed(before: Mapping[str, Tally], after: Mapping[str, Tally]) -> dict[str, str]:
    """What became of each service whose endpoints are not what they were: `2 → 4 endpoints`."""
    said = {}
    for name in sorted({*before, *after}):
        old, new = before.get(name, Tally()), after.get(name, Tally())
        if old == new:
            continue
        parts = []
        if len(old.serving) != len(new.serving):
            parts.append(f"{len(old.serving)} → {len(new.serving)} endpoints")
        elif old.serving != new.serving:
            parts.append(f"{len(new.serving - old.serving)} of {len(new.serving)} endpoints replaced")
        if new.draining - old.draining:
            parts.append(f"{len(new.draining)} draining")
        elif old.draining - new.draining and not parts:
            parts.append("drained" if not new.draining else f"{len(new.draining)} still draining")
        said[name] = ", ".join(parts)
    return said
