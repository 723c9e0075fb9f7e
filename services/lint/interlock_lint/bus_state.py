"""What the bus has of a region, read once; nothing is written. A role that only reads is enough."""

from __future__ import annotations

import difflib

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.bus.outcomes import Outcomes
from interlock.bus.registry import Registry
from interlock.bus.state import Snapshot, snapshot_of
from interlock.errors import ConfigError, Corrupted, NotAllowed
from interlock.model.names import Cluster
from interlock.wire.fields import read_plan, read_services
from interlock_lint.dry_run import ClusterState

_MOST_NAMED = 20


def read_state(bus: Bus, region: str) -> dict[str, ClusterState]:
    """Every service cluster of the region, by name; none where its watcher has found no labelled service yet.

    Raises `BusError`, of which a user who may not look is one, and `ConfigError` for a region that is not there.
    """
    everywhere = Registry(bus).clusters()
    here = [cluster for cluster in everywhere if cluster.region == region]
    if not here and not _has_watcher(bus, region):
        raise ConfigError(_unknown(region, sorted({cluster.region for cluster in everywhere})))
    return {cluster.name: _cluster(bus, cluster) for cluster in here}


def _has_watcher(bus: Bus, region: str) -> bool:
    try:
        return bool(RegionEnv(bus, region).read())
    except NotAllowed:
        # An operator sees the facts of their own region only; the registry, which was just read, names all of them.
        return False


def _unknown(region: str, known: list[str]) -> str:
    if not known:
        remedy = "it knows none yet: name another bus, or start `interlock-watcher` with this bus and region"
    else:
        near = difflib.get_close_matches(region, known, n=1)
        rest = f"{', '.join(known[:_MOST_NAMED])}{' and others' if len(known) > _MOST_NAMED else ''}"
        remedy = f"it knows {rest}; name one of them{f', such as --region {near[0]}' if near else ''}"
    return f"--region {region}: the bus does not know this region; {remedy}"


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
