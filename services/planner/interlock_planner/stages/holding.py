"""A host whose policy a proxy refused: its last accepted policy, with the endpoints that its services have now. Pure.

Held is policy, never addresses: an upstream of the held policy is filled from what its services claim at present, under
whichever path that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from interlock.labels.known.balancing import IP_HASH, STICKY_SESSION_COOKIE
from interlock.labels.known.passive_checks import FAIL_TIMEOUT, MAX_FAILS
from interlock.labels.known.paths import CONTEXT_ROOT, CONTEXT_ROOT_REWRITE
from interlock.labels.known.redirects import REDIRECTS
from interlock.labels.known.websockets import WEBSOCKET_ENDPOINTS
from interlock.labels.label import Label
from interlock.model.held import Held
from interlock.model.problem import Problem, Severity
from interlock.model.routing import DEFAULT_HOST, PassiveChecks, Route, Upstream, VirtualHost, unserved
from interlock.wire.fields import policy_digest
from interlock_planner.stages.claims import Claim
from interlock_planner.stages.hosts import HostPlan, endpoints_of

PROXY = "proxy"
"""The key of a problem where it cannot be told which label the proxy refused."""

MOST_BETWEEN = 4
"""Policies on trial, one after the other, that a host remembers."""

_LONGEST_REASON = 400


def turned(record: Held | None, wanted: VirtualHost, before: VirtualHost | None) -> Held | None:
    """The host's record now that its services want `wanted`; `before` is the policy that was published.

    None where the wanted policy is an accepted one; without `refused` while it is on trial.
    """
    if record is None:
        return None if before == wanted else Held(policy=before)
    if record.refused and record.refused == policy_digest(wanted):
        return record
    if wanted == record.policy:
        return None
    between = record.between
    if before not in (None, wanted, record.policy, *between[-1:]) and not record.refused:
        between = (*between, before)[-MOST_BETWEEN:]  # type: ignore[assignment]  # `before` is none of the above
    return Held(policy=record.policy, between=between)


def held_plan(wanted: HostPlan, claims: Sequence[Claim], record: Held) -> HostPlan:
    """The host's plan while its wanted policy is refused. Its services are told."""
    conflicts = dict(wanted.conflicts)
    for service_id, problem in _refusals(wanted.virtual_host, claims, record).items():
        conflicts[service_id] = (*conflicts.get(service_id, ()), problem)
    if record.policy == wanted.virtual_host:
        # It is the last accepted one itself: others serve it, or it did with other endpoints.
        return msgspec.structs.replace(wanted, conflicts=conflicts)
    names = tuple(claim.service for claim in sorted(claims, key=lambda c: c.age))
    policy = record.policy or unserved(wanted.virtual_host.host, names)
    feeding = _feeding(record.policy, claims)
    upstreams = {
        route.upstream: Upstream(name=route.upstream, endpoints=endpoints_of(feeding.get(route.upstream, ())))
        for route in policy.routes
    }
    return HostPlan(virtual_host=policy, upstreams=tuple(upstreams.values()), conflicts=conflicts)


def _feeding(policy: VirtualHost | None, claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    """Upstream to the claims whose endpoints are behind it: by name those that always were, by path those that join.

    A service that moved to another path is still the one behind its former path; one that the policy does not know
    joins where the policy has its path, and is not served where it has not.
    """
    routes = policy.routes if policy else ()
    known = {name for route in routes for name in route.services}
    feeding: dict[str, list[Claim]] = {}
    for route in routes:
        for claim in claims:
            if claim.service in route.services or (claim.service not in known and claim.path == route.path):
                feeding.setdefault(route.upstream, []).append(claim)
    return feeding


def _refusals(wanted: VirtualHost, claims: Sequence[Claim], record: Held) -> dict[str, Problem]:
    """By service id: those whose own part of the policy is new, all where nobody's is."""
    parts = {c.service_id: (_part(record.policy, c, None), _part(wanted, c, c.path)) for c in claims}
    to_blame = [c for c in claims if parts[c.service_id][0] != parts[c.service_id][1]] or list(claims)
    names = {c.service for c in claims}
    return {
        claim.service_id: _problem(wanted, claim, parts[claim.service_id], record, names - {claim.service})
        for claim in to_blame
    }


def _part(policy: VirtualHost | None, claim: Claim, path: str | None) -> Route | str | None:
    """What the policy does for this service alone: a route, the target of a redirect, or nothing."""
    if policy is None:
        return None
    if policy.redirect is not None:
        return policy.redirect.target if policy.redirect.service_id == claim.service_id else None
    for route in policy.routes:
        if claim.service in route.services and path in (None, route.path):
            own = {i: checks for i, checks in route.passive.items() if i == claim.service_id}
            return msgspec.structs.replace(route, services=(), upstream="", passive=own)
    return None


def _problem(
    wanted: VirtualHost,
    claim: Claim,
    parts: tuple[Route | str | None, Route | str | None],
    record: Held,
    others: set[str],
) -> Problem:
    label, value = _label(*parts)
    shared = record.policy == wanted
    severity: Severity = "warning" if shared else "error"
    host = "the default backend" if wanted.host == DEFAULT_HOST else wanted.host
    if shared:
        meanwhile = "the same was accepted before, so it stays in force wherever it is"
    elif record.policy is None:
        meanwhile = "no configuration of it was accepted before, so it answers 503"
    else:
        meanwhile = "its last accepted configuration is held, with the endpoints of now"
    which = f"Change {label.name}" if label else "Change the labels that say what the proxy names"
    return Problem(
        code="refused",
        service=claim.service,
        service_id=claim.service_id,
        key=label.name if label else PROXY,
        value=value[:200],
        reason=f"{', '.join(record.proxies)} refused {host}: {record.reason[:_LONGEST_REASON]}; {meanwhile}",
        remedy=f"{which}, or mend the proxies (their version, options or template) and restart them",
        severity=severity,
        concerned=tuple(sorted(others)),
    )


def _label(before: Route | str | None, after: Route | str | None) -> tuple[Label[Any] | None, str]:
    """The label that is to blame and its value; None unless it is exactly one."""
    if isinstance(after, str):
        return REDIRECTS, after
    if not isinstance(before, Route) or after is None:
        return None, ""
    differ = [(label, shown(after)) for label, shown in _SHOWN if shown(before) != shown(after)]
    return differ[0] if len(differ) == 1 else (None, "")


def _checks(route: Route) -> PassiveChecks:
    # A part of a policy has the checks of one service only.
    return next(iter(route.passive.values()), PassiveChecks())


def _number(value: int | None, unit: str = "") -> str:
    return "" if value is None else f"{value}{unit}"


_SHOWN: tuple[tuple[Label[Any], Callable[[Route], str]], ...] = (
    (CONTEXT_ROOT, lambda route: route.path),
    (CONTEXT_ROOT_REWRITE, lambda route: str(route.rewrite).lower()),
    (WEBSOCKET_ENDPOINTS, lambda route: ",".join(route.websockets)),
    (STICKY_SESSION_COOKIE, lambda route: route.sticky_cookie),
    (IP_HASH, lambda route: str(route.ip_hash).lower()),
    (MAX_FAILS, lambda route: _number(_checks(route).max_fails)),
    (FAIL_TIMEOUT, lambda route: _number(_checks(route).fail_timeout, "s")),
)
"""What a label does to a route, as its owner reads it."""
