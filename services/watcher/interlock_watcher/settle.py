"""When to look again at what has not settled: tasks change without any event. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable

from interlock_watcher.engine import RawService, RawTask
from interlock_watcher.translate import FINISHED

TOUCHED = 15.0
"""Seconds for which a service counts as unsettled after an event or a change."""

FASTEST, SLOWEST = 0.1, 1.0
"""Seconds between two reads of an unsettled service: at first, and in the end."""

LONGEST = 60.0
"""Seconds to which the poll interval is stretched at most."""

_PATIENCE, _PATIENCE_UPDATING = 30.0, 60.0


def unsettled(service: RawService, tasks: Iterable[RawTask], *, since_change: float) -> bool:
    """Whether more is to come: an update under way, tasks missing or on their way, or something changed just now.

    `since_change`: seconds since the service was last touched by an event or seen to change.
    """
    if since_change < TOUCHED or service.updating:
        return True
    serving = 0
    for task in tasks:
        state = task.status.state
        if state == "running" and task.desired_state == "running":
            serving += 1
        elif state not in FINISHED:
            return True
    return service.replicas is not None and serving != service.replicas


def pause(service: RawService, *, since_change: float) -> float:
    """Seconds until the next read: short while things move, longer the longer nothing does."""
    patience = _PATIENCE_UPDATING if service.updating else _PATIENCE
    return min(max(since_change / patience, FASTEST), SLOWEST)


def listing_is_cheaper(reads: int, read_cost: float, listing_cost: float) -> bool:
    """Whether one full listing costs less than this many reads of single services. Costs in seconds."""
    return reads > 1 and reads * read_cost > listing_cost


def stretched(poll_interval: float, listing_cost: float, share: float = 0.05) -> float:
    """Seconds between full listings, so that they cost at most `share` of a core on either side.

    At most LONGEST: what an engine takes is not all work, and a wait that follows a hang must end.
    """
    return max(poll_interval, min(listing_cost / share, LONGEST))
