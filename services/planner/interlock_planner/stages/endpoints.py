"""The endpoints of one service: each task on a network, its virtual IP, or each task's port on its node. Pure.

Which of these serve is the user's choice, never a guess: `backend_mode`, and whether the service is on a network that
proxies can join. Where it cannot be told, the answer is the `Problem`.
"""

from __future__ import annotations

from interlock.labels.known.backends import BACKEND_MODE, PORT
from interlock.labels.routing import Routing
from interlock.model.problem import Problem
from interlock.model.routing import VIP, Endpoint
from interlock.model.swarm import Network, Service, Task
from interlock_planner.stages.networks import choose_network, joinable

_DRAINS_SINCE_EVER = 0.0
_MOST_SHOWN = 5


def endpoints_of(service: Service, routing: Routing) -> tuple[Endpoint, ...] | Problem:
    """Where the service answers now, in the order of its tasks; empty while no task can answer."""
    if not joinable(service) and not routing.network and (service.ports or any(task.ports for task in service.tasks)):
        return _of_host_ports(service, routing)
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
            draining_since=_draining_since(task),
            network=network.name,
        )
        for task in _alive(service)
        # Swarm fills in the address moments after it has made the task.
        if task.addresses.get(network.id)
    )


def _virtual(service: Service, routing: Routing, network: Network) -> tuple[Endpoint, ...] | Problem:
    """The virtual IP, while a task runs behind it: only an absent endpoint, or one that drains, is answered with 503.

    It drains while all tasks that are left do: then proxies leave it, others of its host take over, and the time is
    known. As long as one task of several is wanted, nothing differs here: who of them answers is Swarm's to say.
    """
    behind = [task for task in _alive(service) if task.addresses.get(network.id)]
    if network.vip is None:
        # Swarm gives it moments after the creation, and before any task runs.
        return _no_virtual_ip(service, network) if service.dnsrr or behind else ()
    if not behind:
        return ()
    since = [_draining_since(task) for task in behind]
    return (
        Endpoint(
            address=network.vip,
            port=routing.port,
            task=VIP,
            service_id=service.id,
            service=service.name,
            # Since when the last of them drains: before, one was wanted.
            draining_since=None if None in since else max(one for one in since if one is not None),
            network=network.name,
        ),
    )


def _of_host_ports(service: Service, routing: Routing) -> tuple[Endpoint, ...] | Problem:
    """The node's address and the port there of each task; on no network, so that any proxy may reach it."""
    if routing.backend_mode == "vip":
        reason = "the service is on no network that proxies can join, so it has no virtual IP for them"
        return _problem(
            "vip-missing",
            service,
            BACKEND_MODE.name,
            reason,
            f"Attach it to an overlay network, or remove {BACKEND_MODE.name}",
        )
    found = tuple(
        Endpoint(
            address=task.node_address,
            port=published,
            task=task.id,
            service_id=service.id,
            service=service.name,
            draining_since=_draining_since(task),
        )
        for task in _alive(service)
        if task.node_address and (published := _host_port(task, routing.port))
    )
    asked = any(p.mode == "host" and p.target == routing.port and p.protocol == "tcp" for p in service.ports)
    # Tasks of before an update may still publish what the service does not ask for any more.
    return found if found or asked else _not_published(service, routing)


def _host_port(task: Task, target: int) -> int:
    """The node's port for this one of the task; of several the lowest, 0 for none."""
    return min((p.published for p in task.ports if p.target == target and p.protocol == "tcp"), default=0)


def _alive(service: Service) -> list[Task]:
    return [task for task in service.tasks if task.wanted or task.draining]


def _draining_since(task: Task) -> float | None:
    return None if task.wanted else task.draining_since or _DRAINS_SINCE_EVER


def _no_virtual_ip(service: Service, network: Network) -> Problem:
    if service.dnsrr:
        reason = f"the service has no virtual IP on {network.name}: its endpoint mode is dnsrr"
        remedy = f"docker service update --endpoint-mode vip {service.name}, or remove {BACKEND_MODE.name}"
    else:
        reason = f"the service has no virtual IP on {network.name}, a network of the driver {network.driver}"
        remedy = f"Use an overlay network, or remove {BACKEND_MODE.name}"
    return _problem("vip-missing", service, BACKEND_MODE.name, reason, remedy)


def _not_published(service: Service, routing: Routing) -> Problem:
    port = routing.port
    shown = [str(one) for one in service.ports[:_MOST_SHOWN]]
    more = len(service.ports) - len(shown)
    published = ", ".join(shown) + (f" and {more} more" if more else "")
    elsewhere = any(p.target == port and p.protocol == "tcp" for p in service.ports)
    change = f"{f'--publish-rm {port} ' if elsewhere else ''}--publish-add mode=host,target={port}"
    others = sorted({p.target for p in service.ports if p.mode == "host" and p.protocol == "tcp"})[:_MOST_SHOWN]
    instead = f", or set {PORT.name} to one that is ({', '.join(map(str, others))})" if others else ""
    return _problem(
        "port-unpublished",
        service,
        PORT.name,
        f"the service is on no network that proxies can join, and does not publish {port} in host mode; "
        f"it publishes {published}",
        f"docker service update {change} {service.name}{instead}, or attach the service to an overlay network",
    )


def _problem(code: str, service: Service, key: str, reason: str, remedy: str) -> Problem:
    return Problem(
        code=code,
        service=service.name,
        service_id=service.id,
        key=key,
        value=service.labels.get(key, "")[:200],
        reason=reason,
        remedy=remedy,
    )
