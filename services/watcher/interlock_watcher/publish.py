"""Writing the region's services to the bus, under the region's lease: one thread, which owns every partition's writer.

It forwards at once when idle; what changes while it writes is folded to the latest of each service. In a new term it
first raises every fence, then waits for a listing that began later, then replaces every cluster. After any doubt about
the bus it replaces, which compares with what the bus holds and not with memory.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.bus.lease import LeaseKeeper
from interlock.bus.registry import Registry
from interlock.bus.state import StateWriter
from interlock.errors import BusError, BusUnavailable, Diverged, Fenced
from interlock.model.names import Cluster
from interlock.model.region import WatcherStatus
from interlock.model.swarm import Service
from interlock.model.version import Token
from interlock.runtime.logging import get_logger
from interlock.wire import codec
from interlock.wire.fields import read_services
from interlock.wire.trail import Cause, CauseKind, Trail
from interlock_watcher import placement
from interlock_watcher.bidding import Bidding
from interlock_watcher.inbox import Inbox
from interlock_watcher.watch import Watch

STATUS_EVERY = 1.0
_RETRY, _RETRY_MOST = 0.2, 1.0
_OUTBID = 0.05


class _Refused(BusError):
    """The bus refused what was to be written for one cluster or more; the others have been written."""


class Publisher:
    """The region's writer. It reads `watch` for what `inbox` names; `status` makes the status record."""

    def __init__(
        self,
        bus: Bus,
        region: str,
        name: str,
        stop: threading.Event,
        *,
        watch: Watch,
        inbox: Inbox,
        status: Callable[[str, Mapping[str, float]], WatcherStatus],
    ) -> None:
        self.leases = LeaseKeeper(bus, name, self._lease_changed)
        self._lease_key = keys.region_lease(region, "watcher")
        self._bus, self._region, self._stop, self._status = bus, region, stop, status
        self._watch, self._inbox = watch, inbox
        self._registry = Registry(bus)
        self._env = RegionEnv(bus, region)
        self._counters: dict[str, float] = {}
        self._log = get_logger(service="watcher", region=region)
        self.alive_at = time.monotonic()
        """Of the loop's last turn, in seconds of the monotonic clock."""
        self.wrong = ""
        """Why the bus could not be used in the last turn; empty where it could."""
        self._told = 0.0
        self._told_status: WatcherStatus | None = None
        self._retry = _RETRY
        self._bidding = Bidding()
        # The present term: its token, and whether every cluster has been replaced in it.
        self._acting: Token | None = None
        self._replaced = False
        self._doubt = False
        self._awaited = 0
        self._writers: dict[Cluster, StateWriter] = {}
        self._placed: dict[str, Cluster] = {}

    @property
    def acting(self) -> bool:
        """Whether this watcher writes for the region now."""
        return self._acting is not None and self._replaced

    @property
    def counters(self) -> dict[str, float]:
        """What was done so far."""
        return {**self._counters, "changes_folded": float(self._inbox.folded)}

    def poke(self) -> None:
        """Have the loop look at the stop event."""
        self._inbox.wake.set()

    def run(self) -> None:
        """Loop: hold the lease, publish what changed, look after what was published."""
        self.leases.start()
        try:
            while not self._stop.is_set():
                self._inbox.wake.wait(STATUS_EVERY)
                self._inbox.wake.clear()
                self._turn_guarded()
                self.alive_at = time.monotonic()
        finally:
            self.leases.close()

    def _turn_guarded(self) -> None:
        try:
            self._turn()
            self._retry, self.wrong = _RETRY, ""
        except Fenced as error:
            self._log.warning("another watcher has written; leasing again", error=str(error))
            self._count("fenced")
            self._forget_term()
            self.leases.outbid(self._lease_key, error.seen)
            self._stop.wait(_OUTBID)
        except BusError as error:
            self.wrong = f"the bus cannot be used: {error}"
            if not self._doubt:
                self._log.warning("the bus cannot be written; going on with what is known", error=str(error))
            self._count("bus_failures")
            self._doubt = True
            self._stop.wait(self._retry)
            self._retry = min(2 * self._retry, _RETRY_MOST)
            self._inbox.wake.set()

    def _bid(self) -> None:
        reachable = self._status(self.leases.owner, {}).docker_reachable
        if self._bidding.bids(time.monotonic(), reachable=reachable):
            self.leases.want(self._lease_key)
        else:
            self.leases.unwant(self._lease_key)

    def _turn(self) -> None:
        self._bid()
        token = self.leases.token(self._lease_key)
        if token is None:
            if self._acting is not None:
                self._log.warning("the lease was lost; standing by")
                self._forget_term()
            return
        if token != self._acting:
            self._begin_term(token)
        if not self._replaced:
            self._replace_when_listed(token)
        elif self._doubt:
            self._replace_all(token, self._trail("resync", "the bus was in doubt"))
        else:
            self._publish_pending(token)
            self._verify(token)
        self._tell(token)

    def _begin_term(self, token: Token) -> None:
        self._forget_term()
        published: dict[str, Service] = {}
        with contextlib.suppress(_Refused), self._apart() as apart:
            for cluster in self._registry.clusters(self._region):
                with apart(cluster):
                    writer = self._writer(cluster)
                    writer.fence(token)
                    # Docker cannot tell again since when tasks drain, nor how much the former owner knew.
                    services, _ = read_services(writer.read().fields)
                    published |= services
        self._watch.seed(published.values())
        self._acting = token
        self._awaited = self._watch.request_listing()
        self._count("terms")
        self._log.info("acting for the region", epoch=token.epoch)

    def _replace_when_listed(self, token: Token) -> None:
        if self._inbox.listed_ticket <= self._awaited:
            return
        self._replace_all(token, self._trail("lease", "a new term"))
        self._replaced = True
        self._log.info("every cluster is published", clusters=len(self._writers), services=len(self._placed))

    def _replace_all(self, token: Token, trail: Trail) -> None:
        waiting = self._inbox.take()
        if waiting:
            trail = placement.merged(waiting.values())
        whole = placement.by_cluster(self._region, self._watch.everything())
        known = set(self._registry.clusters(self._region))
        for cluster in whole.keys() - known:
            self._registry.register(cluster)
        clusters = sorted(known | whole.keys() | self._writers.keys())
        held: dict[Cluster, dict[str, bytes]] = {}
        with self._apart() as apart:
            for cluster in clusters:
                with apart(cluster):
                    held[cluster] = self._writer(cluster).read().fields
            for cluster, changes in placement.arrivals(whole, held).items():
                with apart(cluster):
                    self._write(cluster, changes, whole[cluster], token, trail)
            for cluster in clusters:
                with apart(cluster):
                    self._replace(cluster, whole.get(cluster, {}), token, trail)
        self._placed = {id_: cluster for cluster, fields in whole.items() for id_ in fields}
        self._doubt = False

    def _publish_pending(self, token: Token) -> None:
        trails = self._inbox.take()
        if not trails:
            return
        # Whatever fails from here on is made good by replacing everything.
        self._doubt = True
        present = self._watch.present(trails)
        with self._apart() as apart:
            for step in placement.steps(self._region, present, trails, self._placed):
                with apart(step.cluster):
                    if step.cluster not in self._writers:
                        self._registry.register(step.cluster)
                    self._write(step.cluster, step.changes, None, token, step.trail)
                    self._place(step)
        self._doubt = False

    @contextlib.contextmanager
    def _apart(self) -> Iterator[Callable[[Cluster], contextlib.AbstractContextManager[None]]]:
        """Clusters one by one: what the bus refuses for one is logged, hinders no other, and is raised last."""
        refused: list[BusError] = []

        @contextlib.contextmanager
        def one(cluster: Cluster) -> Iterator[None]:
            try:
                yield
            except (BusUnavailable, Fenced):
                raise
            except BusError as error:
                self._log.warning("the bus refuses a cluster; the others go on", cluster=str(cluster), error=str(error))
                refused.append(error)

        yield one
        if refused:
            raise _Refused(str(refused[0])) from refused[0]

    def _place(self, step: placement.Step) -> None:
        for id_, data in step.changes.items():
            if data is not None:
                self._placed[id_] = step.cluster
            elif self._placed.get(id_) == step.cluster:
                del self._placed[id_]

    def _write(
        self,
        cluster: Cluster,
        changes: Mapping[str, bytes | None],
        whole: Mapping[str, bytes] | None,
        token: Token,
        trail: Trail,
    ) -> None:
        try:
            version = self._writer(cluster).write(changes, token=token, trail=self._published_now(trail))
        except Diverged:
            self._count("diverged")
            if whole is None:
                # As of these changes and no later: what has moved on since then must find its way out of here as well.
                fields = {**self._published(cluster), **changes}
                whole = {id_: data for id_, data in fields.items() if data is not None}
            self._replace(cluster, whole, token, trail)
        else:
            self._count("changes_published", len(changes) if version else 0)

    def _replace(self, cluster: Cluster, fields: Mapping[str, bytes], token: Token, trail: Trail) -> None:
        version = self._writer(cluster).replace(fields, token=token, trail=self._published_now(trail))
        self._count("replaced" if version else "confirmed")

    def _published(self, cluster: Cluster) -> dict[str, bytes]:
        """The services that were written into this cluster and belong there still."""
        present = self._watch.present([id_ for id_, placed in self._placed.items() if placed == cluster])
        services = {id_: service for id_, service in present.items() if service is not None}
        return placement.by_cluster(self._region, services).get(cluster, {})

    def _verify(self, token: Token) -> None:
        if not self._inbox.take_listed():
            return
        with self._apart() as apart:
            for cluster, writer in self._writers.items():
                with apart(cluster):
                    if writer.verify():
                        continue
                    self._log.warning("the bus does not hold what was written; replacing", cluster=str(cluster))
                    self._count("diverged")
                    self._registry.register(cluster)
                    trail = self._trail("resync", "not what was written")
                    self._replace(cluster, self._published(cluster), token, trail)

    def _tell(self, token: Token) -> None:
        status = self._status(self.leases.owner, self.counters)
        before = self._told_status
        news = before is None or _news(status) != _news(before)
        if news or time.monotonic() - self._told >= STATUS_EVERY * 0.9:
            # Who reads it compares with the server's clock; ours may be wrong.
            dated = status.dated(self._bus.server_time())
            self._env.write({"watcher": codec.encode("watcher", dated)}, token)
            self._told, self._told_status = time.monotonic(), status

    def _writer(self, cluster: Cluster) -> StateWriter:
        writer = self._writers.get(cluster)
        if writer is None:
            writer = self._writers[cluster] = StateWriter(self._bus, keys.services(cluster))
        return writer

    def _trail(self, kind: CauseKind, what: str) -> Trail:
        now = self._watch.clock.dated()
        cause = Cause(id=f"{kind}-{self._region}-{time.time_ns()}", kind=kind, what=what, at=now)
        return Trail(causes=(cause,), hops={"seen": now})

    def _published_now(self, trail: Trail) -> Trail:
        return trail.hop("published", self._watch.clock.dated())

    def _forget_term(self) -> None:
        self._acting = None
        self._replaced = self._doubt = False
        self._awaited = 0
        self._writers, self._placed = {}, {}

    def _lease_changed(self, _key: str, _token: Token | None) -> None:
        self._inbox.wake.set()

    def _count(self, what: str, by: float = 1) -> None:
        self._counters[what] = self._counters.get(what, 0) + by


def _news(status: WatcherStatus) -> tuple[object, ...]:
    """What is told at once when it differs."""
    return status.stale_since, status.services, status.unreadable, status.held_since, status.clock_jumped_at
