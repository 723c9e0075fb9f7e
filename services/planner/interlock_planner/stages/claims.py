"""One service alone: the hosts that it claims and the endpoints that it brings. It knows nothing of other services."""

from __future__ import annotations

import msgspec

from interlock.labels.known.backends import BACKEND_MODE, NETWORK
from interlock.labels.reading import Reading, read
from interlock.labels.routing import Routing
from interlock.model.problem import Problem
from interlock.model.routing import DEFAULT_HOST, Endpoint, PassiveChecks, Route
from interlock.model.swarm import Service
from interlock_planner.stages.endpoints import endpoints_of


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one service contributes to its hosts. `age` orders the services of a host, oldest first.

    `policy`: how its route is served, as a route that is not yet one of a host. `redirects`: host to target.
    Not `served`: a mistake keeps the service from being routed; its hosts, path and redirects are claimed all the same.
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
    routing = reading.routing or reading.claimed
    if routing is None:
        return None, reading.problems
    problems = reading.problems
    # Also beside another mistake: who mends one thing is to know of all.
    endpoints = endpoints_of(service, routing) if reading.routing or _told_apart(reading) else ()
    if isinstance(endpoints, Problem):
        problems = tuple(sorted((*problems, endpoints)))
    if reading.routing is None or isinstance(endpoints, Problem):
        return _unserved(service, routing), problems
    default = (DEFAULT_HOST,) if routing.default_backend else ()
    claim = Claim(
        service_id=service.id,
        service=service.name,
        age=age_of(service),
        hosts=(*default, *routing.hosts),
        policy=_policy(service.id, routing),
        redirects=_redirects(routing),
        endpoints=endpoints,
    )
    return claim, problems


def _told_apart(reading: Reading) -> bool:
    """Whether the service's networks can be judged although a label is wrong: not where it is one that chooses them."""
    wrong = {problem.key for problem in reading.problems if problem.severity == "error"}
    return not wrong & {NETWORK.name, BACKEND_MODE.name}


def _unserved(service: Service, routing: Routing) -> Claim | None:
    if not routing.hosts:
        return None
    return Claim(
        service_id=service.id,
        service=service.name,
        age=age_of(service),
        hosts=routing.hosts,
        policy=Route(path=routing.context_root, upstream=""),
        redirects=_redirects(routing),
        endpoints=(),
        served=False,
    )


def _redirects(routing: Routing) -> dict[str, str]:
    return {redirect.source: redirect.target for redirect in routing.redirects}


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
