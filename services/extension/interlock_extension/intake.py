"""Following the plan of one service cluster: from the bus to the worker's own copy.

`follow` is the loop of the intake's thread (shell); `Intake` holds the copy and says what a piece of news touches
(no I/O). A plan that is missing or not complete is *unknown*: what runs stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.follower import Follower
from interlock.bus.state import Entry, Snapshot
from interlock.errors import BusError
from interlock.model.names import Cluster
from interlock.model.routing import PlanDelta, Upstream, VirtualHost
from interlock.model.version import Version
from interlock.wire.fields import HOST, UPSTREAM, Refused, read_delta, read_plan
from interlock.wire.trail import Cause, Trail
from interlock_extension.desired import Desired, Touched
from interlock_extension.watcher_liveness import WatcherLiveness

_POLL = 0.5
_AGAIN = 0.2


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """The bus cannot be asked. `at`: Unix seconds."""

    at: float
    reason: str


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a watcher acts for the region and has Docker before it: `why` not, empty where one does."""

    why: str = ""


class News(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot or an entry, and when it came."""

    at: float
    update: Snapshot | Entry


def follow(
    bus: Bus,
    cluster: Cluster,
    tell: Callable[[Lost | News | Watched], None],
    stop: threading.Event,
    *,
    newest: Version | None = None,
) -> None:
    """Tell all news of the cluster's plan, and of its watcher, until stop. `newest`: the version that was last good."""
    follower = Follower(bus, [keys.plan(cluster)], newest=newest)
    watcher = WatcherLiveness(bus, cluster.region)
    while not stop.is_set():
        try:
            for _, update in follower.poll(_POLL):
                tell(News(at=time.time(), update=update))
            unwatched = watcher.look()
            if unwatched is not None:
                tell(Watched(why=unwatched))
        except BusError as error:
            tell(Lost(at=time.time(), reason=str(error)))
            stop.wait(_AGAIN)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a piece of news touched. `whole`: it was a snapshot."""

    touched: Touched
    trail: Trail
    whole: bool = False


class Intake:
    """The copy's version, since when it is stale, and the fields that cannot be read."""

    def __init__(self, desired: Desired) -> None:
        self.desired = desired
        self.version: Version | None = None
        self.stale_since: float | None = None
        self.stale_reason = ""
        self.unwatched = ""
        self._refused: dict[str, str] = {}

    @property
    def doubtful(self) -> bool:
        """Whether the plan may have fallen behind Docker: it cannot be read, or nobody keeps it up."""
        return self.version is None or self.stale_since is not None or bool(self.unwatched)

    @property
    def unreadable(self) -> str:
        """The fields of the plan that are refused and kept as they were, for people; empty when there are none."""
        return "; ".join(self._refused[field] for field in sorted(self._refused)[:3])

    def lose(self, at: float, reason: str) -> None:
        """The plan may have moved on without us."""
        if self.stale_since is None:
            self.stale_since = at
        self.stale_reason = reason

    def take(self, news: News) -> Change | None:
        """Apply a piece of news to the copy; None where the plan is unknown."""
        update = news.update
        if update.version is None or not update.complete:
            doubt = (isinstance(update, Snapshot) and update.doubt) or "the plan is missing or not complete on the bus"
            self.lose(news.at, f"{doubt}; what runs stays")
            return None
        self.stale_since, self.stale_reason = None, ""
        self.version = update.version
        if isinstance(update, Snapshot):
            return Change(touched=self._replace(update.fields), trail=_resync(update, news.at), whole=True)
        delta, refused = read_delta((change.field, change.after) for change in update.changes)
        self._note(refused, (change.field for change in update.changes))
        return Change(touched=self.desired.change(delta), trail=update.trail)

    def _replace(self, fields: Mapping[str, bytes]) -> Touched:
        plan, refused = read_plan(fields)
        self._refused.clear()
        self._note(refused, ())
        hosts: dict[str, VirtualHost] = dict(plan.hosts)
        upstreams: dict[str, Upstream] = dict(plan.upstreams)
        for field, _ in refused:
            kind, name = field.partition(":")[0] + ":", field.partition(":")[2]
            if kind == HOST and name in self.desired.hosts:
                hosts[name] = self.desired.hosts[name]
            if kind == UPSTREAM and name in self.desired.upstreams:
                upstreams[name] = self.desired.upstreams[name]
        return self.desired.replace(hosts, upstreams)

    def _note(self, refused: Iterable[Refused], written: Iterable[str]) -> None:
        for field in written:
            self._refused.pop(field, None)
        for field, error in refused:
            if field.startswith((HOST, UPSTREAM)):
                self._refused[field] = str(error)

    def restore(
        self, hosts: Mapping[str, VirtualHost], upstreams: Mapping[str, Upstream], version: Version | None
    ) -> None:
        """Begin with what was last good: its endpoints have been accepted once."""
        touched = self.desired.change(PlanDelta(hosts=dict(hosts), upstreams=dict(upstreams)))
        for key in touched.fresh:
            self.desired.accept(key)
        self.version = version


def _resync(snapshot: Snapshot, at: float) -> Trail:
    cause = Cause(id=f"resync-{snapshot.version}", kind="resync", what="read the whole plan", at=at)
    return Trail(causes=(cause,), hops={"planned": at})
