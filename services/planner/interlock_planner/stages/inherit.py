"""Claims read back from a published plan, for services whose frames a new planner cannot read.

What cannot be read is unknown, not gone: without this, a planner that takes over from one that could read them (or had
read them) would withdraw their routes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from interlock.model.routing import Endpoint, Plan, Route
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
    return claims


def _endpoints(plan: Plan, route: Route, service_ids: Collection[str]) -> Iterator[Endpoint]:
    upstream = plan.upstreams.get(route.upstream)
    return (endpoint for endpoint in (upstream.endpoints if upstream else ()) if endpoint.service_id in service_ids)


def _add(claim: Claim | None, host: str, route: Route, endpoint: Endpoint) -> Claim:
    if claim is None:
        return Claim(
            service_id=endpoint.service_id,
            service=endpoint.service,
            age=("", "", endpoint.service_id),
            hosts=(host,),
            path=route.path,
            rewrite=route.rewrite,
            endpoints=(endpoint,),
        )
    return msgspec.structs.replace(
        claim,
        hosts=claim.hosts if host in claim.hosts else (*claim.hosts, host),
        endpoints=claim.endpoints if endpoint in claim.endpoints else (*claim.endpoints, endpoint),
    )
