"""One service alone: the hosts that it claims and the endpoints that it brings. It knows nothing of other services."""

from __future__ import annotations

import msgspec

from interlock.labels.reading import read
from interlock.labels.routing import Routing
from interlock.model.problem import Problem
from interlock.model.routing import DEFAULT_HOST, Endpoint, PassiveChecks, Route
from interlock.model.swarm import Service
from interlock_planner.stages.endpoints import endpoints_of


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one service contributes to its hosts. `age` orders the services of a host, oldest first.

    `policy`: how its route is served, as a route that is not yet one of a host. `redirects`: host to target.
    Not `served`: a mistake keeps the service from being routed, and its hosts are claimed all the same.
    """

    service_id: str
    service: str
    age: tuple[str, str, str]
    hosts: tuple[str, ...]
    policy: Route
    redirects: dict[str, str] = {}
    endpoints: tuple[Endpoint, ...]
    served: bool = True

    @property
    def path(self) -> str:
        return self.policy.path


def claim_of(service: Service) -> tuple[Claim | None, tuple[Problem, ...]]:
    """The service's claim, None where it has none to any host; and its sorted problems."""
    reading = read(service.name, service.id, service.labels)
    if reading.routing is None:
        return _unserved(service, reading.hosts), reading.problems
    endpoints = endpoints_of(service, reading.routing)
    if isinstance(endpoints, Problem):
        return _unserved(service, reading.routing.hosts), tuple(sorted((*reading.problems, endpoints)))
    default = (DEFAULT_HOST,) if reading.routing.default_backend else ()
    claim = Claim(
        service_id=service.id,
        service=service.name,
        age=age_of(service),
        hosts=(*default, *reading.routing.hosts),
        policy=_policy(service.id, reading.routing),
        redirects={redirect.source: redirect.target for redirect in reading.routing.redirects},
        endpoints=endpoints,
    )
    return claim, reading.problems


def _unserved(service: Service, hosts: tuple[str, ...]) -> Claim | None:
    if not hosts:
        return None
    return Claim(
        service_id=service.id,
        service=service.name,
        age=age_of(service),
        hosts=hosts,
        policy=Route(upstream=""),
        endpoints=(),
        served=False,
    )


def _policy(service_id: str, routing: Routing) -> Route:
    checks = PassiveChecks(max_fails=routing.max_fails, fail_timeout=routing.fail_timeout)
    return Route(
        path=routing.context_root,
        rewrite=routing.rewrite,
        upstream="",
        websockets=routing.websockets,
        sticky_cookie=routing.sticky_cookie,
        ip_hash=routing.ip_hash,
        passive={service_id: checks} if checks != PassiveChecks() else {},
    )


def age_of(service: Service) -> tuple[str, str, str]:
    """Sorts by creation, then by id.

    Docker leaves out the final zeros of the fraction, so the text itself would sort 0.5Z after 0.51Z.
    """
    seconds, _, fraction = service.created.removesuffix("Z").partition(".")
    return seconds, fraction, service.id
