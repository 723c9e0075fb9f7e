"""The state of an installation as frozen values, read from the bus in a few round trips.

The JSON of `interlock status --json` and `interlock routes --json` is these values as they are; fields are only added.
"""

from __future__ import annotations

import msgspec

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.bus.outcomes import Outcomes
from interlock.bus.registry import Registry
from interlock.bus.state import Snapshot, snapshot_of
from interlock.errors import WireError
from interlock.labels.known.backends import NETWORK
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.problem import Problem
from interlock.model.region import WatcherStatus
from interlock.model.routing import Endpoint, Plan
from interlock.model.version import Version
from interlock.wire import codec
from interlock.wire.fields import Refused, read_plan

WATCHER = "watcher"
"""The field of a region's facts that holds the watcher's status."""

WATCHER_SILENT_AFTER = 10.0
"""Seconds after which a watcher that says nothing of itself is reported as gone."""


class ProxyView(msgspec.Struct, frozen=True, kw_only=True):
    """One proxy. `behind`: it does not run the plan's present version (yet)."""

    outcome: Outcome
    behind: bool


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """One service cluster of a region."""

    region: str
    cluster: str
    version: Version | None
    complete: bool
    services: int
    hosts: int
    upstreams: int
    endpoints: int
    draining: int
    proxies: tuple[ProxyView, ...]
    problems: tuple[Problem, ...]
    stale: tuple[str, ...]


class RegionView(msgspec.Struct, frozen=True, kw_only=True):
    """One region's watcher; None where none has written yet."""

    region: str
    watcher: WatcherStatus | None
    silent_for: float | None


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `interlock status` shows. `at`: Unix seconds by the server's clock."""

    at: float
    bus: str
    regions: tuple[RegionView, ...]
    clusters: tuple[ClusterView, ...]


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    """One route with the endpoints behind it; or where all requests for a host are sent, with `redirect`."""

    region: str
    cluster: str
    host: str
    path: str
    rewrite: bool
    upstream: str
    services: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    redirect: str = ""


def status(bus: Bus, region: str | None = None) -> StatusView:
    """The state of all regions, or of one. Raises `BusUnavailable`."""
    now = bus.server_time()
    clusters = Registry(bus).clusters(region)
    regions = sorted({c.region for c in clusters} | ({region} if region else set()))
    return StatusView(
        at=now,
        bus=bus.url,
        regions=tuple(_region(bus, name, now) for name in regions),
        clusters=tuple(_cluster(bus, cluster, now) for cluster in clusters),
    )


def routes(bus: Bus, region: str | None = None, cluster: str | None = None) -> tuple[RouteView, ...]:
    """Every route, sorted by cluster, host and path. Raises `BusUnavailable`."""
    found = []
    for one in Registry(bus).clusters(region):
        if cluster is not None and one.name != cluster:
            continue
        plan, _ = read_plan(_snapshot(bus, keys.plan(one)).fields)
        found += _routes(one, plan)
    return tuple(found)


def _routes(cluster: Cluster, plan: Plan) -> list[RouteView]:
    redirected = [
        RouteView(
            region=cluster.region,
            cluster=cluster.name,
            host=host,
            path="/",
            rewrite=False,
            upstream="",
            services=(virtual_host.redirect.service,),
            endpoints=(),
            redirect=virtual_host.redirect.target,
        )
        for host, virtual_host in sorted(plan.hosts.items())
        if virtual_host.redirect
    ]
    routed = [
        RouteView(
            region=cluster.region,
            cluster=cluster.name,
            host=host,
            path=route.path,
            rewrite=route.rewrite,
            upstream=route.upstream,
            services=route.services,
            endpoints=plan.upstreams[route.upstream].endpoints if route.upstream in plan.upstreams else (),
        )
        for host, virtual_host in sorted(plan.hosts.items())
        for route in virtual_host.routes
    ]
    return sorted((*redirected, *routed), key=lambda view: view.host)


def _snapshot(bus: Bus, partition: keys.Partition) -> Snapshot:
    # A key that is not of our making is a state that is missing, and does not hide the other clusters.
    return snapshot_of(bus.pipeline([("HGETALL", partition.state)])[0])


def _region(bus: Bus, region: str, now: float) -> RegionView:
    data = RegionEnv(bus, region).read().get(WATCHER)
    if data is None:
        return RegionView(region=region, watcher=None, silent_for=None)
    try:
        watcher = codec.decode("watcher", data, WatcherStatus, where=f"watcher of {region}")
    except WireError:
        return RegionView(region=region, watcher=None, silent_for=None)
    quiet = now - watcher.at
    return RegionView(region=region, watcher=watcher, silent_for=quiet if quiet > WATCHER_SILENT_AFTER else None)


def _cluster(bus: Bus, cluster: Cluster, now: float) -> ClusterView:
    services = _snapshot(bus, keys.services(cluster))
    snapshot = _snapshot(bus, keys.plan(cluster))
    plan, refused = read_plan(snapshot.fields)
    endpoints = [e for upstream in plan.upstreams.values() for e in upstream.endpoints]
    outcomes = Outcomes(bus).shown(cluster)
    return ClusterView(
        region=cluster.region,
        cluster=cluster.name,
        version=snapshot.version,
        complete=snapshot.complete,
        services=len(services.fields),
        hosts=len(plan.hosts),
        upstreams=len(plan.upstreams),
        endpoints=sum(not e.draining for e in endpoints),
        draining=sum(e.draining for e in endpoints),
        proxies=tuple(ProxyView(outcome=o, behind=_behind(o, snapshot.version)) for o in outcomes),
        problems=tuple(sorted({*(p for ps in plan.problems.values() for p in ps), *_unreachable(outcomes)})),
        stale=tuple(_stale(services, snapshot, outcomes, refused, now)),
    )


def _unreachable(outcomes: list[Outcome]) -> list[Problem]:
    """What only proxies can see: that they have no part in a service's network."""
    return [
        Problem(
            code="network-unreachable",
            service=one.service,
            service_id=one.service_id,
            key=NETWORK.name,
            value=one.network,
            reason=f"proxy {outcome.proxy} is not attached to it, and cannot reach {one.address}",
            remedy=one.remedy,
        )
        for outcome in outcomes
        for one in outcome.unreachable
    ]


def _behind(outcome: Outcome, version: Version | None) -> bool:
    return version is not None and not version.same(outcome.version)


def _stale(
    services: Snapshot, plan: Snapshot, outcomes: list[Outcome], refused: list[Refused], now: float
) -> list[str]:
    said = []
    if services.version is None or not services.complete:
        said.append("the services are not complete yet: a watcher has to list them once")
    if plan.version is None or not plan.complete:
        said.append("there is no complete plan yet: a planner has to plan it once")
    elif services.version is not None and not services.version.same(plan.origin):
        said.append("the plan is not drawn from the present services: a planner has to catch up")
    if services.fields and not outcomes:
        said.append(
            "no proxy of this service cluster reports: start one, or correct the services' label service_cluster"
        )
    said += [f"{field}: {error}" for field, error in refused]
    said += [
        f"{o.proxy} has served without news from the bus for {now - o.stale_since:.0f} s"
        for o in outcomes
        if o.stale_since is not None
    ]
    return said
