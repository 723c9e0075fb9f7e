"""Which service cluster holds which service, and what a change means for the partitions. Pure.

A service that changes its cluster is put into the new one before it is removed from the old, so that it is never in
none, whatever crashes in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from interlock.labels.relevance import service_cluster_of
from interlock.model.names import Cluster
from interlock.model.swarm import Service
from interlock.wire.fields import service_bytes
from interlock.wire.trail import Trail

Fields = dict[str, bytes | None]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of one partition, written at once."""

    cluster: Cluster
    changes: Fields
    trail: Trail


def cluster_of(region: str, service: Service) -> Cluster:
    """The service's cluster."""
    return Cluster(region, service_cluster_of(service.labels))


def by_cluster(region: str, services: Mapping[str, Service]) -> dict[Cluster, dict[str, bytes]]:
    """Every cluster's whole state, as fields of its partition."""
    whole: dict[Cluster, dict[str, bytes]] = {}
    for id_, service in services.items():
        whole.setdefault(cluster_of(region, service), {})[id_] = service_bytes(service)
    return whole


def steps(
    region: str, present: Mapping[str, Service | None], trails: Mapping[str, Trail], placed: Mapping[str, Cluster]
) -> list[Step]:
    """The writes for services that changed, in order: everything that puts, then what only takes moved ones away.

    `present`: their state now, None for gone. `placed`: where they were written before.
    """
    puts: dict[Cluster, list[tuple[str, bytes | None]]] = {}
    takes: dict[Cluster, list[tuple[str, bytes | None]]] = {}
    for id_, service in present.items():
        before = placed.get(id_)
        if service is None:
            if before is not None:
                puts.setdefault(before, []).append((id_, None))
            continue
        now = cluster_of(region, service)
        puts.setdefault(now, []).append((id_, service_bytes(service)))
        if before not in (None, now):
            takes.setdefault(before, []).append((id_, None))
    return [
        Step(cluster=cluster, changes=dict(changes), trail=merged(trails[id_] for id_, _ in changes))
        for group in (puts, takes)
        for cluster, changes in group.items()
    ]


def arrivals(
    whole: Mapping[Cluster, Mapping[str, bytes]], held: Mapping[Cluster, Iterable[str]]
) -> dict[Cluster, Fields]:
    """Services that the bus has in another cluster than theirs: to be put into their own before anything is removed."""
    place = {id_: cluster for cluster, ids in held.items() for id_ in ids}
    moved: dict[Cluster, Fields] = {}
    for cluster, fields in whole.items():
        there = set(held.get(cluster, ()))
        new: Fields = {id_: data for id_, data in fields.items() if id_ not in there and id_ in place}
        if new:
            moved[cluster] = new
    return moved


def merged(trails: Iterable[Trail]) -> Trail:
    """The trails of one write."""
    whole = Trail()
    for trail in trails:
        whole = whole.merge(trail)
    return whole
