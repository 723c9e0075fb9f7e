"""One host alone: the claims of all services that name it become a virtual host with its upstreams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from interlock.labels.known.balancing import IP_HASH, STICKY_SESSION_COOKIE
from interlock.labels.known.clusters import SERVICE_CLUSTER
from interlock.labels.known.hosts import DEFAULT_BACKEND
from interlock.labels.known.paths import CONTEXT_ROOT_REWRITE
from interlock.labels.known.redirects import REDIRECTS
from interlock.labels.known.websockets import WEBSOCKET_ENDPOINTS
from interlock.labels.label import Label
from interlock.model.names import upstream_name
from interlock.model.problem import Problem
from interlock.model.routing import DEFAULT_HOST, Endpoint, HostRedirect, Route, Upstream, VirtualHost
from interlock_planner.stages.claims import Claim


class HostPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one host needs. `conflicts`: service id to warnings for settings that an older service overrides."""

    virtual_host: VirtualHost
    upstreams: tuple[Upstream, ...]
    conflicts: dict[str, tuple[Problem, ...]]


def plan_host(host: str, claims: Iterable[Claim]) -> HostPlan:
    """The host's plan from every claim to it (at least one), in any order.

    Services of the same path merge; of settings that can only be one, the oldest service's counts.
    """
    everyone = sorted(claims, key=lambda c: c.age)
    # Whom a mistake keeps from being routed decides nothing, unless nobody else does; a redirect needs no endpoint.
    by_age = [claim for claim in everyone if claim.served or host in claim.redirects] or everyone
    oldest, target = by_age[0], by_age[0].redirects.get(host)
    conflicts = {claim.service_id: _redirect_conflicts(host, claim, oldest) for claim in by_age}
    if target is not None:
        redirect = HostRedirect(target=target, service=oldest.service, service_id=oldest.service_id)
        found = VirtualHost(host=host, redirect=redirect)
        return HostPlan(virtual_host=found, upstreams=(), conflicts=_some(conflicts))
    by_path = _by_path(everyone)
    for same_path in by_path.values():
        if not same_path[0].served:
            continue
        for claim in same_path[1:]:
            conflicts[claim.service_id] += _conflicts(host, claim, same_path[0])
            conflicts[claim.service_id] += _strangers(host, claim, same_path[0])
        for claim in same_path:
            conflicts[claim.service_id] += _taken(host, claim, by_path)
    paths = sorted(by_path, key=lambda path: (-len(path), path))
    return HostPlan(
        virtual_host=VirtualHost(host=host, routes=tuple(_route(host, path, by_path) for path in paths)),
        upstreams=tuple(_upstream(host, path, by_path[path]) for path in paths),
        conflicts=_some(conflicts),
    )


def _by_path(by_age: Iterable[Claim]) -> dict[str, list[Claim]]:
    """The claims to each path, oldest first. Unserved ones only where there is no other: such a path answers 503."""
    found: dict[str, list[Claim]] = {}
    for claim in by_age:
        found.setdefault(claim.path, []).append(claim)
    return {path: [claim for claim in claims if claim.served] or claims for path, claims in found.items()}


def _some(conflicts: Mapping[str, tuple[Problem, ...]]) -> dict[str, tuple[Problem, ...]]:
    return {service_id: problems for service_id, problems in conflicts.items() if problems}


def _route(host: str, path: str, by_path: Mapping[str, Sequence[Claim]]) -> Route:
    claims = by_path[path]
    policy = claims[0].policy
    return msgspec.structs.replace(
        policy,
        upstream=upstream_name(host, path),
        websockets=tuple(each for each in policy.websockets if _owner(each, path, by_path) is None),
        services=tuple(claim.service for claim in claims),
        passive={service_id: checks for claim in claims for service_id, checks in claim.policy.passive.items()},
    )


def _owner(websocket: str, path: str, by_path: Mapping[str, Sequence[Claim]]) -> Claim | None:
    """The oldest service of a longer context root in which this path lies: requests for it are that service's."""
    for root, claims in by_path.items():
        if root != path and root.startswith(path) and (websocket == root or websocket.startswith(f"{root}/")):
            return claims[0]
    return None


def _taken(host: str, claim: Claim, by_path: Mapping[str, Sequence[Claim]]) -> tuple[Problem, ...]:
    owners = {each: owner for each in claim.policy.websockets if (owner := _owner(each, claim.path, by_path))}
    return tuple(
        Problem(
            code="conflict",
            service=claim.service,
            service_id=claim.service_id,
            key=WEBSOCKET_ENDPOINTS.name,
            value=each[:200],
            reason=f"it lies in the context root {owner.path} of {owner.service} at {host}, which answers there",
            remedy=f"Take it out of {WEBSOCKET_ENDPOINTS.name}, or give that service another context root",
            severity="warning",
            concerned=(owner.service,),
        )
        for each, owner in sorted(owners.items())
    )


def _upstream(host: str, path: str, claims: Sequence[Claim]) -> Upstream:
    return Upstream(name=upstream_name(host, path), endpoints=endpoints_of(claims))


def endpoints_of(claims: Iterable[Claim]) -> tuple[Endpoint, ...]:
    """What an upstream that these claims share has."""
    return tuple(sorted((endpoint for claim in claims for endpoint in claim.endpoints), key=_order))


def _order(endpoint: Endpoint) -> tuple[str, str, str]:
    return endpoint.service, endpoint.task, endpoint.service_id


def _conflicts(host: str, claim: Claim, older: Claim) -> tuple[Problem, ...]:
    """A warning for each setting of its route that differs from the older service's."""
    where = f"{'the default backend' if host == DEFAULT_HOST else host}{claim.path}"
    both = [(label.name, shown(claim.policy), shown(older.policy)) for label, shown in _SHOWN]
    return tuple(
        _conflict(claim, older, key, (mine, f"{theirs or 'none'} for {where}"))
        for key, mine, theirs in both
        if mine != theirs
    )


def _strangers(host: str, claim: Claim, older: Claim) -> tuple[Problem, ...]:
    """A warning where the default backend is two services that have nothing else in common.

    Who names the same host means to share it; who wants to be the default backend hardly thinks of another one.
    """
    mine, theirs = ({*each.hosts} - {DEFAULT_HOST} for each in (claim, older))
    if host != DEFAULT_HOST or mine & theirs or not mine | theirs:
        return ()
    other = f"the older service {older.service}, which has no host in common with it,"
    problem = Problem(
        code="conflict",
        service=claim.service,
        service_id=claim.service_id,
        key=DEFAULT_BACKEND.name,
        value="true",
        reason=f"{other[:300]} is the default backend as well: requests for hosts of nobody go to the tasks of both",
        remedy=f"Remove {DEFAULT_BACKEND.name} from one of them, or put one into a {SERVICE_CLUSTER.name} of its own",
        severity="warning",
        concerned=(older.service,),
    )
    return (problem,)


def _redirect_conflicts(host: str, claim: Claim, older: Claim) -> tuple[Problem, ...]:
    mine, theirs = (each.redirects.get(host, "") for each in (claim, older))
    if mine == theirs:
        return ()
    told = _conflict(claim, older, REDIRECTS.name, (mine, f"{theirs or 'no redirect'} for {host}"))
    # Where the older one redirects, nothing at all is served of this one.
    return (msgspec.structs.replace(told, severity="error" if theirs else "warning"),)


def _conflict(claim: Claim, older: Claim, key: str, values: tuple[str, str]) -> Problem:
    mine, theirs = values
    return Problem(
        code="conflict",
        service=claim.service,
        service_id=claim.service_id,
        key=key,
        value=mine[:200],
        reason=f"the older service {older.service} has {theirs[:300]}, and that counts",
        remedy=f"Give both services the same {key}",
        severity="warning",
        concerned=(older.service,),
    )


def _flag(value: bool) -> str:
    return str(value).lower()


_SHOWN: tuple[tuple[Label[Any], Callable[[Route], str]], ...] = (
    (CONTEXT_ROOT_REWRITE, lambda route: _flag(route.rewrite)),
    (WEBSOCKET_ENDPOINTS, lambda route: ",".join(route.websockets)),
    (STICKY_SESSION_COOKIE, lambda route: route.sticky_cookie),
    (IP_HASH, lambda route: _flag(route.ip_hash)),
)
"""The settings of a route that can only be one, as the label's owner reads them."""
