"""The planner's loop: which clusters there are, which of them are ours, and what happened in those. A shell.

One thread reads and plans; leases are kept in the keeper's own thread, so that a slow write loses none. Any number of
planners share the clusters: whoever comes first holds one, and a cluster whose holder is gone goes to another when the
lease ends.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable

from interlock.bus.connection import Bus
from interlock.bus.follower import Follower, Update
from interlock.bus.lease import LeaseKeeper
from interlock.bus.outcomes import OutcomeLog, OutcomeNews
from interlock.bus.registry import Registry
from interlock.errors import BusError, Fenced
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.version import Token
from interlock.runtime.health import State
from interlock.runtime.logging import get_logger
from interlock_planner.cluster import ClusterPlanner
from interlock_planner.counters import Counters

DISCOVER = 0.25
"""Seconds between two looks at the registry."""

VERIFY = 2.0
"""Seconds in which every plan is looked at once: is it still the one that was published?"""

LISTEN = 0.25
"""Seconds between two looks at what proxies say."""

_POLL = 0.1
_RETRY = 0.2


class PlannerLoop:
    """Plans every cluster (of one region, or of all where `region` is None) whose lease it gets.

    `name`: who holds the leases, for people; it need not be unique. `clock`: Unix seconds.
    """

    def __init__(
        self,
        bus: Bus,
        counters: Counters,
        *,
        name: str,
        region: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._counters = counters
        self._name = name
        self._region = region
        self._clock = clock
        self._log = get_logger(service="planner")
        self._registry = Registry(bus)
        self._follower = Follower(bus)
        self._news = OutcomeNews(bus)
        self._log_of_outcomes = OutcomeLog(bus)
        self._terms: queue.SimpleQueue[tuple[str, Token | None]] = queue.SimpleQueue()
        self._keeper = LeaseKeeper(bus, name, lambda key, token: self._terms.put((key, token)))
        self._clusters: dict[Cluster, ClusterPlanner] = {}
        self._by_lease: dict[str, ClusterPlanner] = {}
        self._starting: set[Cluster] = set()
        self._owned: set[Cluster] = set()
        self._discovered = self._listened = float("-inf")
        self._owing: set[Cluster] = set()
        self._unverified: list[Cluster] = []
        self._verified = 0.0
        self._wrong = ""
        self.alive_at = clock()
        """Unix seconds of the loop's last step."""

    def health(self) -> State:
        """For the container's check: a bus that is away is said, and no restart would mend it."""
        wrong = f"; {self._wrong}" if self._wrong else ""
        return {"at": self.alive_at, "ok": True, "says": f"plans {len(self._owned)} service clusters{wrong}"}

    def run(self, stop: threading.Event) -> None:
        """Plan until `stop` is set; then give the leases back. The bus may be away at any time."""
        self._keeper.start()
        unavailable = False
        try:
            while not stop.is_set():
                self.alive_at = self._clock()
                try:
                    self._step()
                except BusError as error:
                    self._wrong = f"the bus cannot be used: {error}"
                    if not unavailable:
                        self._log.warning("the bus cannot be used; the plans stay as they are", error=str(error))
                    unavailable = True
                    stop.wait(_RETRY)
                else:
                    if unavailable:
                        self._log.info("the bus can be used again")
                    unavailable, self._wrong = False, ""
                    if not self._owned:
                        stop.wait(_POLL / 2)
        finally:
            self._keeper.close()

    def _step(self) -> None:
        now = time.monotonic()
        if now - self._discovered >= DISCOVER:
            self._discover()
            self._discovered = now
        self._follow_terms()
        # What fails in one cluster is raised when all others have had their turn.
        failed = self._start()
        updates: dict[Cluster, list[Update]] = {}
        for partition, update in self._follower.poll(_POLL) if self._owned else ():
            updates.setdefault(partition.cluster, []).append(update)
        failed = self._take(updates) or failed
        # Also where proxies cannot be heard, what is planned goes to them.
        failed = self._publish() or failed
        self._listen(now)
        failed = self._publish() or failed
        self._verify(now)
        if failed is not None:
            raise failed

    def _discover(self) -> None:
        """Want the lease of every cluster of the registry, and of no other.

        Each planner goes through them in an order of its own, so that planners which start together share them.
        """
        present = set(self._registry.clusters(self._region))
        for cluster in self._clusters.keys() - present:
            planner = self._clusters.pop(cluster)
            del self._by_lease[planner.lease]
            self._lose(planner)
            self._keeper.unwant(planner.lease)
        for cluster in sorted(present - self._clusters.keys(), key=self._preference):
            planner = ClusterPlanner(self._bus, cluster, self._counters, clock=self._clock)
            self._clusters[cluster] = self._by_lease[planner.lease] = planner
            self._keeper.want(planner.lease)

    def _preference(self, cluster: Cluster) -> bytes:
        return hashlib.blake2s(f"{self._keeper.owner}\n{cluster}".encode()).digest()

    def _follow_terms(self) -> None:
        """Learn of leases won and lost since the last step."""
        while not self._terms.empty():
            key, token = self._terms.get()
            planner = self._by_lease.get(key)
            if planner is None:
                continue
            if token is None:
                self._lose(planner)
            else:
                self._starting.add(planner.cluster)

    def _start(self) -> BusError | None:
        failed: BusError | None = None
        for cluster in sorted(self._starting):
            planner = self._clusters[cluster]
            token = self._keeper.token(planner.lease)
            if token is None:
                continue
            try:
                planner.begin(token)
            except Fenced as error:
                self._outbid(planner, error)
                continue
            except BusError as error:
                failed = error
                continue
            self._starting.discard(cluster)
            self._owned.add(cluster)
            self._follower.add(planner.services)
            self._follower.resync(planner.services)
            self._counters.owned.set(len(self._owned))
        return failed

    def _lose(self, planner: ClusterPlanner) -> None:
        self._starting.discard(planner.cluster)
        self._owing.discard(planner.cluster)
        self._follower.drop(planner.services)
        self._news.forget(planner.cluster)
        self._log_of_outcomes.forget(planner.cluster)
        if planner.cluster in self._owned:
            self._owned.discard(planner.cluster)
            planner.end()
        self._counters.owned.set(len(self._owned))

    def _outbid(self, planner: ClusterPlanner, error: Fenced) -> None:
        """Stop acting on the term that was refused; the keeper tells when a newer one begins."""
        self._log.warning("a newer owner has written; leasing anew", cluster=str(planner.cluster), error=str(error))
        self._lose(planner)
        self._keeper.outbid(planner.lease, error.seen)

    def _take(self, updates: dict[Cluster, list[Update]]) -> BusError | None:
        failed: BusError | None = None
        for cluster, found in updates.items():
            planner = self._clusters[cluster]
            try:
                planner.take(found)
            except BusError as error:
                # The follower has passed these updates on and would not bring them again.
                self._follower.resync(planner.services)
                failed = error
            if planner.owes:
                self._owing.add(cluster)
        return failed

    def _listen(self, now: float) -> None:
        """Hear what the proxies of our clusters refuse, or accept."""
        if now - self._listened < LISTEN:
            return
        self._listened = now
        judging = [cluster for cluster in sorted(self._owned) if self._clusters[cluster].judges]
        for cluster in judging:
            if self._clusters[cluster].due:
                self._news.forget(cluster)
        for cluster, outcomes in self._news.poll(judging).items():
            planner = self._clusters[cluster]
            planner.judge(outcomes)
            planner.heard(self._said(planner), outcomes)
            if planner.owes:
                self._owing.add(cluster)

    def _said(self, planner: ClusterPlanner) -> list[Outcome]:
        """What its proxies said meanwhile, where a change waits for that."""
        if not planner.waits and planner.cluster in self._log_of_outcomes:
            return []
        try:
            return self._log_of_outcomes.since(planner.cluster)
        except BusError:
            # Only a figure is less exact then.
            return []

    def _publish(self) -> BusError | None:
        failed: BusError | None = None
        for cluster in sorted(self._owing):
            planner = self._clusters[cluster]
            token = self._keeper.token(planner.lease)
            if token is None:
                continue
            try:
                planner.publish(token)
                self._owing.discard(cluster)
            except Fenced as error:
                self._outbid(planner, error)
            except BusError as error:
                failed = error
        return failed

    def _verify(self, now: float) -> None:
        """Look at as many plans as are due, so that all have their turn and no step stalls for them."""
        due = int(len(self._owned) * min(1.0, (now - self._verified) / VERIFY))
        if due == 0:
            return
        self._verified = now
        if not self._unverified:
            self._unverified = sorted(self._owned)
        turn, self._unverified = self._unverified[:due], self._unverified[due:]
        for cluster in turn:
            planner = self._clusters.get(cluster)
            if planner and cluster in self._owned and planner.strayed():
                self._follower.resync(planner.services)
