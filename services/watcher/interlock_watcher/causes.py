"""Why something changed: the trail of a change that an event or a read revealed. Pure; called by `watch`."""

from __future__ import annotations

import msgspec

from interlock.wire.trail import Cause, CauseKind, Trail
from interlock_watcher.engine import RawEvent


class Hint(msgspec.Struct, frozen=True):
    """An event that named a service: the ticket at which it came, and its trail."""

    ticket: int
    trail: Trail


def heard(event: RawEvent, now: float) -> Trail:
    """Of what an event brings about. `now`: Unix seconds."""
    cause = Cause(id=event.id, kind="event", what=event.what, at=event.at)
    return Trail(causes=(cause,), hops={"docker": min(event.at, now)})


def seen(kind: CauseKind, id_: str, name: str, *, ticket: int, now: float, docker_at: float | None) -> Trail:
    """Of what a read found of the service `id_`. `docker_at`: Docker's own time of the change, where it says."""
    at = now if docker_at is None else docker_at
    cause = Cause(id=f"{kind}-{id_}-{ticket}-{int(now * 1000)}", kind=kind, what=name, at=at)
    hops = {"seen": now} if docker_at is None else {"docker": docker_at, "seen": now}
    return Trail(causes=(cause,), hops=hops)
