"""Which network proxies use to reach a service. Never a guess: where there is a choice, the user makes it."""

from __future__ import annotations

from interlock.labels.known.backends import NETWORK
from interlock.labels.label import STACK
from interlock.labels.routing import Routing
from interlock.model.problem import Problem
from interlock.model.swarm import Network, Service

_LOCAL_DRIVERS = frozenset({"bridge", "host", "none", "null"})
"""Networks of one node, whose addresses mean nothing on another."""


def joinable(service: Service) -> list[Network]:
    """The networks of the service that proxies can join, sorted."""
    return sorted(n for n in service.networks if not n.ingress and n.driver not in _LOCAL_DRIVERS)


def choose_network(service: Service, routing: Routing) -> Network | Problem:
    """The network that the label names, or the only one there is; else what is wrong."""
    usable = joinable(service)
    names = ", ".join(sorted(n.name for n in usable))
    if not usable:
        instead = f"remove {NETWORK.name} and " if routing.network else ""
        port = routing.port or "PORT"
        remedy = (
            "Attach it to an overlay network (docker service update --network-add …), "
            f"or {instead}publish its port in host mode (--publish-add mode=host,target={port})"
        )
        return _problem("network-none", service, routing, "the service is on no network that proxies can join", remedy)
    if routing.network:
        stack = service.labels.get(STACK, "")
        for wanted in (routing.network, f"{stack}_{routing.network}"):
            for network in usable:
                if network.name == wanted:
                    return network
        return _problem(
            "network-unknown", service, routing, "the service is on no such network", f"Name one that it is on: {names}"
        )
    if len(usable) > 1:
        reason = f"the service is on {len(usable)} networks ({names}) and does not say which one serves"
        return _problem("network-ambiguous", service, routing, reason, f"Set {NETWORK.name} to one of them")
    return usable[0]


def _problem(code: str, service: Service, routing: Routing, reason: str, remedy: str) -> Problem:
    return Problem(
        code=code,
        service=service.name,
        service_id=service.id,
        key=NETWORK.name,
        value=routing.network[:200],
        reason=reason,
        remedy=remedy,
    )
