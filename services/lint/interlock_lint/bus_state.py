"""What the bus has of a region, read once; nothing is written. A role that only reads is enough."""

from __future__ import annotations

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.outcomes import Outcomes
from interlock.bus.registry import Registry
from interlock.bus.state import Snapshot, snapshot_of
from interlock.errors import Corrupted
from interlock.model.names import Cluster
from interlock.wire.fields import read_plan, read_services
from interlock_lint.dry_run import ClusterState


def read_state(bus: Bus, region: str) -> dict[str, ClusterState]:
    """Every service cluster of the region, by name. Raises `BusError`, of which a user who may not look is one."""
    return {cluster.name: _cluster(bus, cluster) for cluster in Registry(bus).clusters(region)}


def _cluster(bus: Bus, cluster: Cluster) -> ClusterState:
    services, plan = _snapshot(bus, keys.services(cluster)), _snapshot(bus, keys.plan(cluster))
    read, refused = read_services(services.fields)
    planned, unread = read_plan(plan.fields)
    outcomes = Outcomes(bus).shown(cluster)
    doubts = (
        (services.version is None or not services.complete, "its services are not complete on the bus"),
        (plan.version is None or not plan.complete, "it has no complete plan yet"),
        (
            services.version is not None and plan.version is not None and not services.version.same(plan.origin),
            "its plan is older than its services",
        ),
        (bool(refused or unread), f"{len(refused) + len(unread)} parts of it cannot be read"),
        (not outcomes, "no proxy of it reports"),
    )
    return ClusterState(
        services=read,
        refused={refusal.field: str(refusal.error) for refusal in refused},
        plan=planned,
        unreachable=frozenset(one.network for outcome in outcomes for one in outcome.unreachable),
        doubts=tuple(words for doubtful, words in doubts if doubtful),
    )


def _snapshot(bus: Bus, partition: keys.Partition) -> Snapshot:
    try:
        return snapshot_of(bus.command("HGETALL", partition.state))
    except Corrupted:
        # Not of our making: a state that is missing, and that does not hide the others.
        return Snapshot()
