"""One service alone: the hosts that it claims and the endpoints that it brings. It knows nothing of other services."""

from __future__ import annotations

import msgspec

from interlock.labels.known.backends import BACKEND_MODE
from interlock.labels.reading import read
from interlock.labels.routing import Routing
from interlock.model.problem import Problem
from interlock.model.routing import DEFAULT_HOST, VIP, Endpoint, PassiveChecks, Route
from interlock.model.swarm import Network, Service
from interlock_planner.stages.networks import choose_network

_DRAINS_SINCE_EVER = 0.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one service contributes to its hosts. `age` orders the services of a host, oldest first.

    `policy`: how its route is served, as a route that is not yet one of a host. `redirects`: host to target.
    """

    service_id: str
    service: str
    age: tuple[str, str, str]
    hosts: tuple[str, ...]
    policy: Route
    redirects: dict[str, str] = {}
    endpoints: tuple[Endpoint, ...]

    @property
    def path(self) -> str:
        return self.policy.path


def claim_of(service: Service) -> tuple[Claim | None, tuple[Problem, ...]]:
    """The service's claim, None where it cannot be routed; and its sorted problems."""
    reading = read(service.name, service.id, service.labels)
    if reading.routing is None:
        return None, reading.problems
    endpoints = _endpoints(service, reading.routing)
    if isinstance(endpoints, Problem):
        return None, tuple(sorted((*reading.problems, endpoints)))
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


def _endpoints(service: Service, routing: Routing) -> tuple[Endpoint, ...] | Problem:
    network = choose_network(service, routing)
    if isinstance(network, Problem):
        return network
    return (
        _virtual(service, routing, network) if routing.backend_mode == "vip" else _of_tasks(service, routing, network)
    )


def _of_tasks(service: Service, routing: Routing, network: Network) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(
            address=task.addresses[network.id],
            port=routing.port,
            task=task.id,
            service_id=service.id,
            service=service.name,
            draining_since=None if task.wanted else task.draining_since or _DRAINS_SINCE_EVER,
            network=network.name,
        )
        for task in service.tasks
        # Swarm fills in the address moments after it has made the task.
        if (task.wanted or task.draining) and task.addresses.get(network.id)
    )


def _virtual(service: Service, routing: Routing, network: Network) -> tuple[Endpoint, ...] | Problem:
    if network.vip is None:
        return Problem(
            code="vip-missing",
            service=service.name,
            service_id=service.id,
            key=BACKEND_MODE.name,
            value=service.labels.get(BACKEND_MODE.name, "")[:200],
            reason=f"the service has no virtual IP on {network.name}",
            remedy=f"Create it with --endpoint-mode vip, or remove {BACKEND_MODE.name}",
        )
    # Tasks come and go behind a virtual IP without a change of the plan; only a service scaled to nothing has none.
    if service.replicas == 0:
        return ()
    return (
        Endpoint(
            address=network.vip,
            port=routing.port,
            task=VIP,
            service_id=service.id,
            service=service.name,
            network=network.name,
        ),
    )
