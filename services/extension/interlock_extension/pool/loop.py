"""The loop of a pool's worker: who lives, which service clusters are its share, and whose leases it has. A shell.

For each cluster whose lease it holds, one seat acts (see `seat`). A lease that ended ends its seat; a cluster that
has become another's share is given up when its seat has come to rest, so that the next owner finds nothing under way.
Nobody takes what another still holds: shares say who bids, leases say who acts.

A cluster that cannot be acted for, or whose seat failed by a mistake of ours or of the extension, harms no other. Its
lease is kept, since others would fare alike and pass it round, and it is tried again at a slow pace.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.lease import LeaseKeeper, holders
from interlock.bus.members import PoolMembers
from interlock.bus.registry import Registry
from interlock.errors import BusError, InterlockError
from interlock.model.names import Cluster
from interlock.model.version import Token
from interlock.runtime.health import State
from interlock.runtime.logging import get_logger
from interlock.runtime.metrics import Metrics
from interlock_extension.pool.seat import Failures, Seat
from interlock_extension.pool.share import shares
from interlock_extension.port import Fence

LOOK = 0.2
"""Seconds between two looks at who lives and which clusters there are."""

_POLL = 0.05
_REOPEN = 5.0
"""Seconds until a cluster whose proxy could not be opened, or whose seat failed, is tried again."""
_END = 5.0
"""Seconds that everything under way has to come to rest at the end."""

Opener = Callable[[Cluster, Fence], Seat]


class LeasedFence:
    """The right to write that a lease gives, until it is revoked. For any thread."""

    def __init__(self, keeper: LeaseKeeper, key: str) -> None:
        self._keeper = keeper
        self._key = key
        self.revoked = False

    def token(self, margin: float) -> Token | None:
        """See `Fence.token`."""
        return None if self.revoked else self._keeper.token(self._key, margin)

    def revoke(self) -> None:
        """Nothing more is written, although the lease may be held until nothing is under way."""
        self.revoked = True

    def outbid(self, seen: int) -> None:
        """See `Fence.outbid`."""
        self._keeper.outbid(self._key, seen)


class PoolLoop:
    """`serves`: whether the pool acts for a cluster of its region. `open_seat`: begins to act; raises `InterlockError`.

    `failures`: who tells what else it raises.
    `name`: who holds the leases, for people; it need not be unique.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        name: str,
        region: str,
        pool: str,
        serves: Callable[[Cluster], bool],
        open_seat: Opener,
        failures: Failures,
        metrics: Metrics,
    ) -> None:
        self._pool = pool
        self._region = region
        self._serves = serves
        self._open = open_seat
        self._failures = failures
        self._log = get_logger(service="extension", pool=pool)
        self._bus = bus
        self._registry = Registry(bus)
        self._members = PoolMembers(bus, region, pool)
        self._terms: queue.SimpleQueue[tuple[str, Token | None]] = queue.SimpleQueue()
        self._keeper = LeaseKeeper(bus, name, lambda key, token: self._terms.put((key, token)))
        self._bidding: dict[str, Cluster] = {}
        self._leaving: set[str] = set()
        self._seats: dict[str, Seat] = {}
        self._fences: dict[str, LeasedFence] = {}
        self._open_at: dict[str, float] = {}
        self._failing: dict[str, str] = {}
        self._looked = float("-inf")
        self._wrong = ""
        self._held = metrics.gauge("pool_clusters", "Service clusters that this worker of the pool acts for")
        self._taken = metrics.counter("pool_clusters_taken_total", "Times that it began to act for one")
        self._failed = metrics.counter("pool_failures_total", "Times that it could not act for one, by why", ["why"])
        self.alive_at = time.time()

    def health(self) -> State:
        """For the container's check: a bus that is away is said, and no restart would mend it."""
        failing = "".join(f"; not for {cluster}" for cluster in sorted(self._failing.values()))
        says = f"acts for {len(self._seats)} service clusters of the pool {self._pool}{failing}{self._wrong}"
        return {"at": self.alive_at, "ok": True, "says": says}

    def run(self, stop: threading.Event) -> None:
        """Act until stop; then come to rest and give the leases back. The bus may be away at any time."""
        self._keeper.start()
        try:
            while not stop.is_set():
                self.alive_at = time.time()
                self._follow_terms()
                if time.monotonic() >= self._looked + LOOK:
                    self._look()
                self._begin()
                self._reap()
        finally:
            self._end()

    def _look(self) -> None:
        """Bid for our share, and give up what is another's."""
        self._looked = time.monotonic()
        try:
            living = self._members.stay(self._keeper.owner)
            present = [cluster for cluster in self._registry.clusters(self._region) if self._serves(cluster)]
            held = holders(self._bus, [keys.pool_lease(cluster, self._pool) for cluster in present])
        except BusError as error:
            if not self._wrong:
                self._log.warning(
                    "the bus cannot be used; leases run out, and proxies stay as they are", error=str(error)
                )
            self._wrong = f"; the bus cannot be used: {error}"
            return
        if self._wrong:
            self._log.info("the bus can be used again")
        self._wrong = ""
        by_lease = {keys.pool_lease(cluster, self._pool): cluster for cluster in present}
        owners = shares(living, present, {by_lease[key]: owner for key, owner in held.items()})
        ours = {key: cluster for key, cluster in by_lease.items() if owners[cluster] == self._keeper.owner}
        for key, cluster in ours.items():
            self._leaving.discard(key)
            self._bidding[key] = cluster
            # Also one that we have bid for before: whose it was may just have given it back.
            if held.get(key) != self._keeper.owner:
                self._keeper.want(key)
        for key in self._bidding.keys() - ours.keys():
            self._leaving.add(key)
            self._stand_back(key)

    def _stand_back(self, key: str) -> None:
        if key in self._seats:
            self._fences[key].revoke()
            self._seats[key].stop()

    def _follow_terms(self) -> None:
        """Wait a moment for a lease to be won or lost, and write nothing more where it was lost."""
        with contextlib.suppress(queue.Empty):
            self._terms.get(timeout=_POLL)
        while not self._terms.empty():
            self._terms.get()
        for key, fence in self._fences.items():
            if not fence.revoked and fence.token(0.0) is None:
                self._log.warning("the lease is lost", key=key)
                self._stand_back(key)

    def _begin(self) -> None:
        """Act for each cluster whose lease we hold, unless we are about to give it up."""
        for key, cluster in self._bidding.items():
            if key in self._seats or key in self._leaving or time.monotonic() < self._open_at.get(key, 0.0):
                continue
            token = self._keeper.token(key)
            if token is None:
                continue
            fence = LeasedFence(self._keeper, key)
            try:
                self._seats[key] = self._open(cluster, fence)
            except InterlockError as error:
                self._log.error("nothing can be done for the cluster", cluster=str(cluster), error=str(error))
                self._put_off(key, cluster, "refused")
                continue
            except Exception as error:  # noqa: BLE001  # an extension is anybody's: its mistake ends no other cluster
                self._failures.tell(str(cluster), "opening", error)
                self._put_off(key, cluster, "mistake")
                continue
            self._fences[key] = fence
            self._failing.pop(key, None)
            self._taken.inc()
            self._log.info("cluster taken", cluster=str(cluster), epoch=token.epoch)
        self._held.set(len(self._seats))

    def _put_off(self, key: str, cluster: Cluster, why: str) -> None:
        self._open_at[key] = time.monotonic() + _REOPEN
        self._failing[key] = str(cluster)
        self._failed.labels(why).inc()

    def _reap(self) -> None:
        for key, seat in list(self._seats.items()):
            if seat.failed:
                self._stand_back(key)
            if seat.rests and key in self._leaving:
                self._give_up(key)
            if seat.ended:
                seat.close()
                del self._seats[key], self._fences[key]
                if seat.failed and key in self._bidding:
                    self._put_off(key, self._bidding[key], "mistake")
        for key in self._leaving - self._seats.keys():
            self._give_up(key)

    def _give_up(self, key: str) -> None:
        """The lease goes back; the seat, which writes no more, may take a moment longer to end."""
        cluster = self._bidding.pop(key, None)
        self._leaving.discard(key)
        self._failing.pop(key, None)
        if cluster is not None:
            self._keeper.unwant(key)
            self._log.info("cluster given up", cluster=str(cluster))

    def _end(self) -> None:
        for key in self._seats:
            self._stand_back(key)
        deadline = time.monotonic() + _END
        while not all(seat.rests for seat in self._seats.values()) and time.monotonic() < deadline:
            time.sleep(_POLL / 5)
        try:
            self._members.leave(self._keeper.owner)
        except BusError as error:
            self._log.info("left to be forgotten", error=str(error))
        self._keeper.close()
        for seat in self._seats.values():
            seat.close()
