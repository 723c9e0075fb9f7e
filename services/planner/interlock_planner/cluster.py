"""One service cluster under our lease: its updates go into the plan, what differs goes onto the bus. A shell.

`loop` makes one for each cluster, hands it what the follower read, and lets it publish. It never decides who owns a
cluster, and never publishes a plan that was drawn from an incomplete state.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.follower import Update
from interlock.bus.held import HeldPolicies
from interlock.bus.state import Entry, Snapshot, StateWriter
from interlock.errors import BusError, Diverged, Fenced, NotAllowed
from interlock.model.held import Held
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.routing import PlanDelta, VirtualHost
from interlock.model.swarm import Service
from interlock.model.version import Token, Version
from interlock.runtime.logging import get_logger
from interlock.wire.fields import delta_fields, plan_fields, read_plan, read_services
from interlock.wire.trail import Cause, CauseKind, Trail
from interlock_planner.counters import Counters
from interlock_planner.plan import ClusterPlan
from interlock_planner.spread import Spread
from interlock_planner.stages.claims import Claim
from interlock_planner.stages.inherit import inherited

Read = tuple[dict[str, Service | None], dict[str, str]]
"""Services by id, None for one that is gone; and ids whose bytes were refused, with the reason."""


class ClusterPlanner:
    """Plans one cluster. For one thread. What touches the bus raises `BusError`s, and may be repeated after them."""

    def __init__(self, bus: Bus, cluster: Cluster, counters: Counters, *, clock: Callable[[], float]) -> None:
        self.cluster = cluster
        self.services = keys.services(cluster)
        self.lease = keys.cluster_lease(cluster)
        self._writer = StateWriter(bus, keys.plan(cluster))
        self._held = HeldPolicies(bus, cluster)
        self._counters = counters
        self._clock = clock
        self._log = get_logger(service="planner", cluster=str(cluster))
        self._plan = ClusterPlan()
        self._past: tuple[dict[str, VirtualHost], dict[str, Held]] | None = None
        self._origin: Version | None = None
        self._complete = False
        self._whole = True
        self._why: CauseKind = "lease"
        self._delta = PlanDelta()
        self._spread = Spread()
        self._owed: Trail | None = None

    @property
    def owes(self) -> bool:
        """Whether something is planned that is not on the bus, and may go there."""
        return self._owed is not None or (self.judges and bool(self._plan.holds.changed))

    @property
    def judges(self) -> bool:
        """Whether all services are known, so that it can be told what proxies speak of."""
        return self._complete and self._plan.following

    @property
    def due(self) -> bool:
        """Whether proxies are to be heard although none has news."""
        now = self._clock()
        return self._plan.holds.due(now) or self._spread.due(now)

    @property
    def waits(self) -> bool:
        """Whether a change is not in effect on every proxy, as far as it is known."""
        return self._spread.waits

    def begin(self, token: Token) -> None:
        """Start a term: shut former owners out. The caller then has a fresh snapshot of the services read."""
        self._writer.fence(token)
        self._complete, self._whole, self._owed, self._why = False, True, None, "lease"
        # What was published and held meanwhile is another's doing, and on the bus.
        self._past, self._plan.following = None, False
        self._spread = Spread()
        self._log.info("cluster taken", epoch=token.epoch)

    def end(self) -> None:
        """End the term. The services stay in memory: should they be unreadable later, this is what was read last."""
        self._complete, self._owed = False, None
        self._spread = Spread()
        self._counters.no_longer(self.cluster)
        self._log.info("cluster given up")

    def take(self, updates: Iterable[Update]) -> None:
        """Fold what one poll brought into the plan, in memory only."""
        received = self._clock()
        changed: dict[str, bytes | None] = {}
        trail: Trail | None = None
        for update in updates:
            if isinstance(update, Snapshot):
                changed.clear()
                self._load(update)
                more = self._own_trail(received)
            else:
                changed |= {change.field: change.after for change in update.changes}
                self._note(update)
                more = update.trail.hop("received", received)
            trail = trail.merge(more) if trail else more
        delta = self._apply(changed) if changed else PlanDelta()
        if not self._complete:
            # Nobody waits for what may not be published: the trail begins with what completes the state.
            self._whole, self._owed = True, None
            return
        if not self._plan.following:
            self._follow()
        if trail is None:
            return
        # A change that plans to nothing is owed too: the plan must say that it is drawn from the newest services.
        self._owe(delta, trail)

    def judge(self, outcomes: Sequence[Outcome]) -> None:
        """Hear what all live proxies of the cluster say; only while `judges`. In memory only."""
        at = self._clock()
        delta = self._plan.judge(outcomes, at)
        self._tell(delta)
        if delta:
            hosts = ", ".join(sorted(delta.hosts.keys())[:3]) or "what was refused"
            cause = Cause(id=secrets.token_urlsafe(6), kind="refusal", what=hosts, at=at)
            self._owe(delta, Trail(causes=(cause,)).hop("received", at))

    def heard(self, said: Sequence[Outcome], live: Sequence[Outcome]) -> None:
        """Learn which changes are in effect. `said`: by any of its proxies, since the last time."""
        self._counters.took(self.cluster, self._spread.heard(said, live, self._clock()))

    def _owe(self, delta: PlanDelta, trail: Trail) -> None:
        # What an earlier publication still owes is lost as a delta, and only the whole plan makes up for it.
        self._whole = self._whole or self._owed is not None
        self._delta = delta
        self._owed = self._owed.merge(trail) if self._owed else trail

    def publish(self, token: Token) -> None:
        """Put on the bus what is owed, holds first. Raises `Fenced`, or `BusError`: then it is still owed."""
        if not self.owes:
            return
        self._keep_holds(token)
        if self._owed is None:
            return
        sent_before = self._writer.bytes_sent
        trail = self._owed.hop("planned", self._clock())
        try:
            version = self._send(token, trail)
        except Fenced:
            raise
        except BusError:
            self._whole = True
            raise
        finally:
            self._counters.sent.inc(self._writer.bytes_sent - sent_before)
        if self._writer.version is not None:
            self._plan.holds.published(self._writer.version, whole=self._whole)
        self._owed, self._whole, self._why = None, False, "resync"
        self._counters.problems(self.cluster, self._plan.problem_count, self._plan.problem_kinds)
        if version is not None:
            self._counters.published.inc()
            self._spread.published(version, trail, self._clock())
            self._log.debug("plan published", version=str(version))

    def _keep_holds(self, token: Token) -> None:
        """Before the plan: who takes over must know what was accepted before what the plan says."""
        holds = self._plan.holds
        try:
            if self._whole:
                self._held.replace(holds.records, token)
            elif holds.changed:
                self._held.write(holds.changed, token)
        except NotAllowed as error:
            # Users that an older `interlock acl` made: routing goes on, and a hold lasts as long as we do.
            self._log.warning("held policies cannot be kept on the bus", error=str(error))
        holds.stored()

    def strayed(self) -> bool:
        """Whether the plan on the bus is another than the one that was put there. One cheap read."""
        if not self._complete or self._owed is not None or self._writer.verify():
            return False
        self._log.warning("the plan on the bus is not the one that was published; planning anew")
        self._whole = True
        return True

    def _send(self, token: Token, trail: Trail) -> Version | None:
        if not self._whole:
            try:
                return self._writer.write(delta_fields(self._delta), token=token, trail=trail, origin=self._origin)
            except Diverged as error:
                self._log.warning("publishing the whole plan", why=str(error))
                self._whole = True
        self._counters.wholes.inc()
        return self._writer.replace(plan_fields(self._plan.plan), token=token, trail=trail, origin=self._origin)

    def _load(self, snapshot: Snapshot) -> None:
        """Begin anew from a whole state. Unknown is never empty: without a version, nothing is planned."""
        self._whole, self._complete = True, False
        self._origin = snapshot.version
        if snapshot.version is None:
            self._log.info("services unknown, waiting for the watcher", why=snapshot.doubt or "missing on the bus")
            return
        services, refused = _readable(snapshot.fields)
        before = self._plan
        if before.following:
            self._past = before.policies, before.holds.records
        held = {i: service for i in refused if (service := before.service(i)) is not None}
        kept = self._kept(before, refused.keys() - held.keys())
        self._plan = ClusterPlan()
        self._plan.apply({**services, **held}, refused, kept)
        self._complete = snapshot.complete
        self._count(0, 0)
        self._log.info("services read", services=len(services), refused=len(refused), complete=self._complete)

    def _follow(self) -> None:
        """All services are known: compare with what was published, by us or by who planned before us."""
        past, records = self._past or (read_plan(self._writer.read().fields)[0].hosts, self._records())
        self._plan.follow(past, records)
        self._past, self._whole = None, True

    def _records(self) -> dict[str, Held]:
        try:
            return self._held.read()
        except NotAllowed as error:
            self._log.warning("policies that were held before are not known", error=str(error))
            return {}

    def _kept(self, before: ClusterPlan, unread: Iterable[str]) -> dict[str, Claim]:
        """Claims of services that cannot be read: from memory, else from the plan that is on the bus."""
        claims = {i: before.claim(i) for i in unread}
        missing = {i for i, claim in claims.items() if claim is None}
        shown = inherited(read_plan(self._writer.read().fields)[0], missing) if missing else {}
        return {i: claim for i, claim in claims.items() if claim is not None} | shown

    def _note(self, entry: Entry) -> None:
        if not entry.complete or not self._complete:
            self._whole = True
        self._complete, self._origin = entry.complete, entry.version

    def _apply(self, changed: Mapping[str, bytes | None]) -> PlanDelta:
        parsed, planned = self._plan.services_parsed, self._plan.hosts_planned
        services, refused = _readable(changed)
        delta = self._plan.apply(services, refused)
        self._count(parsed, planned)
        self._tell(delta)
        return delta

    def _tell(self, delta: PlanDelta) -> None:
        for problems in delta.problems.values():
            for problem in problems or ():
                self._log.warning("problem", severity=problem.severity, what=str(problem))

    def _count(self, parsed: int, planned: int) -> None:
        self._counters.parsed.inc(self._plan.services_parsed - parsed)
        self._counters.planned.inc(self._plan.hosts_planned - planned)

    def _own_trail(self, at: float) -> Trail:
        cause = Cause(id=secrets.token_urlsafe(6), kind=self._why, what=f"services of {self.cluster.title}", at=at)
        return Trail(causes=(cause,)).hop("received", at)


def _readable(fields: Mapping[str, bytes | None]) -> Read:
    present = {field: data for field, data in fields.items() if data is not None}
    read, refusals = read_services(present)
    services: dict[str, Service | None] = {_name(field): None for field in fields.keys() - present.keys()}
    refused = {_name(refusal.field): _name(str(refusal.error)) for refusal in refusals}
    for field, service in read.items():
        if service.id == field:
            services[field] = service
        else:
            refused[_name(field)] = f"it is the state of another service, {service.id}"
    return services, refused


def _name(field: str) -> str:
    """A field's name in text that can be encoded again; ids are plain, but the bus may hold anything."""
    return field.encode("utf-8", "backslashreplace").decode()
