"""What deploying a stack would change in the plans of a region: hosts, routes, who shares them, networks. Pure.

The planner's own `ClusterPlan` plans what is on the bus with the stack's services in the place of those that they
replace; endpoints are left out, since Swarm makes the tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from interlock.labels.known.backends import NETWORK
from interlock.labels.known.clusters import SERVICE_CLUSTER
from interlock.labels.relevance import is_interlock_service, service_cluster_of
from interlock.model.problem import Problem
from interlock.model.routing import Plan, Route, VirtualHost
from interlock.model.swarm import Service
from interlock_planner.plan import ClusterPlan
from interlock_planner.stages.claims import Claim
from interlock_planner.stages.inherit import inherited


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """One service cluster as it is on the bus. `refused`: ids of services that cannot be read, with the reason.

    `unreachable`: networks that a proxy is known not to be on. `doubts`: why this may not be the whole present.
    """

    services: dict[str, Service] = {}
    refused: dict[str, str] = {}
    plan: Plan = Plan()
    unreachable: frozenset[str] = frozenset()
    doubts: tuple[str, ...] = ()


State = Mapping[str, ClusterState]
"""The service clusters of a region, by name."""


class Change(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One difference in a plan. `path` is empty for a whole host; `setting` for what is new or gone.

    `before` and `after` are JSON, empty where there is nothing.
    """

    cluster: str
    host: str
    path: str = ""
    kind: Literal["added", "removed", "changed"]
    setting: str = ""
    before: str = ""
    after: str = ""


class Sharer(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Another service that claims the host of one of the stack's.

    `other_older`: which of the two was created first. On the same path the older one's settings count; on different
    ones (`path`, `other_path`) each has its own.
    """

    cluster: str
    host: str
    service: str
    path: str
    other: str
    other_path: str
    other_older: bool


class Attachment(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A network that the proxies of a cluster have to be on. `known`: a proxy says that it is not on it."""

    cluster: str
    network: str
    service: str
    known: bool


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What would be. `neighbours`: problems that others would have and have not now. `services`: what was planned, by
    key, with the ids on the bus; `problems`: theirs."""

    services: dict[str, Service]
    problems: dict[str, tuple[Problem, ...]]
    changes: tuple[Change, ...] = ()
    sharers: tuple[Sharer, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    neighbours: tuple[Problem, ...] = ()
    doubts: tuple[str, ...] = ()


def dry_run(services: Mapping[str, Service], state: State) -> DryRun:
    """Plan the stack's services (by key, see `services`) together with what there is."""
    present = {service.name: service for cluster in state.values() for service in cluster.services.values()}
    ours = {key: _in_place_of(present.get(service.name), service) for key, service in services.items()}
    ids = frozenset(service.id for service in ours.values())
    wanted: dict[str, list[Service]] = {}
    for service in ours.values():
        if is_interlock_service(service.labels):
            wanted.setdefault(service_cluster_of(service.labels), []).append(service)
    run = DryRun(services=ours, problems={})
    for name in sorted({*state, *wanted}):
        run = _with_cluster(run, name, state.get(name) or _absent(state), wanted.get(name, ()), ids)
    return run


def _absent(state: State) -> ClusterState:
    """A service cluster that nobody has used: a new one, or a misspelt name of one of these."""
    known = ", ".join(sorted(f"`{name}`" if name else "the unnamed one" for name in state)) or "none"
    doubt = f"no service of it is on the bus yet; if its name is misspelt ({SERVICE_CLUSTER.name}): there are {known}"
    return ClusterState(doubts=(doubt,))


def _with_cluster(
    run: DryRun, name: str, now: ClusterState, wanted: Collection[Service], ids: frozenset[str]
) -> DryRun:
    """The dry run with one more service cluster looked at."""
    before, after = _planned(now, ()), _planned(now, ids, wanted)
    plan = after.plan
    touched = {host for i in ids for claim in (before.claim(i), after.claim(i)) if claim for host in claim.hosts}
    if not touched and not wanted:
        return run
    others = [claim for i in {*now.services, *now.refused} - ids if (claim := after.claim(i))]
    mine = [claim for i in ids if (claim := after.claim(i))]
    return DryRun(
        services=run.services,
        problems={**run.problems, **{i: plan.problems[i] for i in ids & plan.problems.keys()}},
        changes=(*run.changes, *_changes(name, touched, now.plan, plan)),
        sharers=(*run.sharers, *sorted(_sharers(name, mine, others))),
        attachments=(*run.attachments, *sorted(_attachments(name, mine, now))),
        neighbours=(*run.neighbours, *sorted(_neighbours(ids, before.plan, plan))),
        doubts=(*run.doubts, *(f"{name or 'the unnamed service cluster'}: {doubt}" for doubt in now.doubts)),
    )


def _in_place_of(present: Service | None, service: Service) -> Service:
    """A service that is updated keeps its id and its age."""
    if present is None:
        return service
    return msgspec.structs.replace(service, id=present.id, created=present.created)


def _planned(state: ClusterState, without: Iterable[str], services: Iterable[Service] = ()) -> ClusterPlan:
    gone = set(without)
    kept = {i: service for i, service in state.services.items() if i not in gone}
    unread = state.refused
    planner = ClusterPlan()
    planner.apply({**kept, **{s.id: s for s in services}}, unread, inherited(state.plan, unread) if unread else {})
    return planner


# --- what is different ---


def _changes(cluster: str, hosts: Iterable[str], before: Plan, after: Plan) -> Iterator[Change]:
    for host in sorted(hosts):
        old, new = before.hosts.get(host), after.hosts.get(host)
        if old is None or new is None:
            if old is not new:
                yield Change(cluster=cluster, host=host, kind="added" if old is None else "removed")
            continue
        yield from _host_changes(cluster, old, new)


def _host_changes(cluster: str, old: VirtualHost, new: VirtualHost) -> Iterator[Change]:
    for setting, was, now in _settings(old, new, {"host", "routes"}):
        yield Change(cluster=cluster, host=new.host, kind="changed", setting=setting, before=was, after=now)
    routes, present = ({route.path: route for route in host.routes} for host in (old, new))
    for path in sorted({*routes, *present}):
        at = Change(cluster=cluster, host=new.host, path=path, kind="changed")
        route, planned = routes.get(path), present.get(path)
        if route is None or planned is None:
            yield msgspec.structs.replace(at, kind="added" if route is None else "removed")
            continue
        for setting, was, now in _settings(route, planned, {"path", "upstream"}):
            yield msgspec.structs.replace(at, setting=setting, before=was, after=now)


def _settings(old: Route | VirtualHost, new: Route | VirtualHost, but: set[str]) -> Iterator[tuple[str, str, str]]:
    """Fields that differ, with what they were and would be: also such as were added after this was written."""
    for field in msgspec.structs.fields(new):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if field.name not in but and was != now:
            yield field.name, _json(was), _json(now)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


# --- who else ---


def _sharers(cluster: str, mine: Iterable[Claim], others: Iterable[Claim]) -> Iterator[Sharer]:
    # Between two of the stack a conflict is told; that they share a host is as they were written.
    claimants: dict[str, list[Claim]] = {}
    for claim in others:
        for host in claim.hosts:
            claimants.setdefault(host, []).append(claim)
    for claim in mine:
        for host in claim.hosts:
            for other in claimants.get(host, ()):
                yield Sharer(
                    cluster=cluster,
                    host=host,
                    service=claim.service,
                    path=claim.path,
                    other=other.service,
                    other_path=other.path,
                    other_older=other.age < claim.age,
                )


def _attachments(cluster: str, mine: Iterable[Claim], now: ClusterState) -> Iterator[Attachment]:
    """Networks on which no endpoint of the cluster's plan is, or which a proxy does not reach."""
    served = {e.network for upstream in now.plan.upstreams.values() for e in upstream.endpoints if e.network}
    for claim in mine:
        for network in {endpoint.network for endpoint in claim.endpoints} - {""}:
            known = network in now.unreachable
            if known or network not in served:
                yield Attachment(cluster=cluster, network=network, service=claim.service, known=known)


def _neighbours(ids: Collection[str], before: Plan, after: Plan) -> Iterator[Problem]:
    for service_id, problems in after.problems.items():
        if service_id not in ids:
            yield from sorted(set(problems) - set(before.problems.get(service_id, ())))


def attachment_problem(attachment: Attachment, service: Service) -> Problem:
    """The attachment as a problem of the service whose network it is."""
    network, cluster = attachment.network, attachment.cluster or "the unnamed service cluster"
    if attachment.known:
        reason = f"a proxy of {cluster} says that it is not on the network {network}"
    else:
        reason = f"nothing that the proxies of {cluster} serve is on the network {network} yet"
    return Problem(
        code="network-unreachable",
        service=service.name,
        service_id=service.id,
        key=NETWORK.name,
        value=service.labels.get(NETWORK.name, "")[:200],
        reason=reason,
        remedy=f"Attach them: docker service update --network-add {network} <proxy service>"
        + ("" if attachment.known else "; where they are attached, this goes with the first deployment"),
        severity="warning",
    )
