"""One host alone: the claims of all services that name it become a virtual host with its upstreams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from interlock.labels.paths import CONTEXT_ROOT_REWRITE
from interlock.model.names import upstream_name
from interlock.model.problem import Problem
from interlock.model.routing import DEFAULT_HOST, Endpoint, Route, Upstream, VirtualHost
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
    by_path: dict[str, list[Claim]] = {}
    for claim in sorted(claims, key=lambda c: c.age):
        by_path.setdefault(claim.path, []).append(claim)
    paths = sorted(by_path, key=lambda path: (-len(path), path))
    return HostPlan(
        virtual_host=VirtualHost(host=host, routes=tuple(_route(host, path, by_path[path]) for path in paths)),
        upstreams=tuple(_upstream(host, path, by_path[path]) for path in paths),
        conflicts={
            claim.service_id: (_conflict(host, claim, same_path[0]),)
            for same_path in by_path.values()
            for claim in same_path
            if claim.rewrite != same_path[0].rewrite
        },
    )


def _route(host: str, path: str, claims: Sequence[Claim]) -> Route:
    return Route(
        path=path,
        rewrite=claims[0].rewrite,
        upstream=upstream_name(host, path),
        services=tuple(claim.service for claim in claims),
    )


def _upstream(host: str, path: str, claims: Sequence[Claim]) -> Upstream:
    endpoints = [endpoint for claim in claims for endpoint in claim.endpoints]
    return Upstream(name=upstream_name(host, path), endpoints=tuple(sorted(endpoints, key=_order)))


def _order(endpoint: Endpoint) -> tuple[str, str, str]:
    return endpoint.service, endpoint.task, endpoint.service_id


def _conflict(host: str, claim: Claim, older: Claim) -> Problem:
    where = f"{'the default backend' if host == DEFAULT_HOST else host}{claim.path}"
    return Problem(
        service=claim.service,
        service_id=claim.service_id,
        key=CONTEXT_ROOT_REWRITE.name,
        value=str(claim.rewrite).lower(),
        reason=f"the older service {older.service} has {str(older.rewrite).lower()} for {where}, and that counts",
        remedy=f"Give both services the same {CONTEXT_ROOT_REWRITE.name}",
        severity="warning",
    )
