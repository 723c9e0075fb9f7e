"""Claims read back from a published plan, for services whose frames a new planner cannot read.

What cannot be read is unknown, not gone: without this, a planner that takes over from one that could read them (or had
read them) would withdraw their routes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from interlock.model.routing import Endpoint, HostRedirect, Plan, Route
from interlock_planner.stages.claims import Claim


def inherited(plan: Plan, service_ids: Collection[str]) -> dict[str, Claim]:
    """What the plan shows of these services, by id. Services without an endpoint leave no trace in a plan.

    They count as the oldest of their hosts, so that the settings in force stay in force.
    """
    claims: dict[str, Claim] = {}
    for host in sorted(plan.hosts):
        for route in plan.hosts[host].routes:
            for endpoint in _endpoints(plan, route, service_ids):
                claims[endpoint.service_id] = _add(claims.get(endpoint.service_id), host, route, endpoint)
    for host in sorted(plan.hosts):
        redirect = plan.hosts[host].redirect
        if redirect is not None and redirect.service_id in service_ids:
            claims[redirect.service_id] = _redirected(claims.get(redirect.service_id), host, redirect)
    return claims


def _endpoints(plan: Plan, route: Route, service_ids: Collection[str]) -> Iterator[Endpoint]:
    upstream = plan.upstreams.get(route.upstream)
    return (endpoint for endpoint in (upstream.endpoints if upstream else ()) if endpoint.service_id in service_ids)


def _add(claim: Claim | None, host: str, route: Route, endpoint: Endpoint) -> Claim:
    if claim is None:
        id_ = endpoint.service_id
        passive = {id_: route.passive[id_]} if id_ in route.passive else {}
        return Claim(
            service_id=id_,
            service=endpoint.service,
            age=("", "", id_),
            hosts=(host,),
            policy=msgspec.structs.replace(route, upstream="", services=(), passive=passive),
            endpoints=(endpoint,),
        )
    return msgspec.structs.replace(
        claim,
        hosts=claim.hosts if host in claim.hosts else (*claim.hosts, host),
        endpoints=claim.endpoints if endpoint in claim.endpoints else (*claim.endpoints, endpoint),
    )


def _redirected(claim: Claim | None, host: str, redirect: HostRedirect) -> Claim:
    if claim is None:
        claim = Claim(
            service_id=redirect.service_id,
            service=redirect.service,
            age=("", "", redirect.service_id),
            hosts=(),
            policy=Route(upstream=""),
            endpoints=(),
        )
    return msgspec.structs.replace(
        claim,
        hosts=claim.hosts if host in claim.hosts else (*claim.hosts, host),
        redirects={**claim.redirects, host: redirect.target},
    )
