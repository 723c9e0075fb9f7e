"""The services of a stack as the planner reads them, as if Swarm had created them and run a task of each. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from interlock.labels.known.backends import NETWORK
from interlock.labels.label import STACK
from interlock.labels.relevance import relevant
from interlock.model.swarm import Network, PublishedPort, Service, Task
from interlock_lint.stack import DEFAULT, ComposeNetwork, ComposeService, Stack

_ADDRESS = "192.0.2.1"
_VIRTUAL = "192.0.2.2"
"""Addresses that are set aside for examples: of the task, and of the service. Nothing is asked of them."""

_STACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_LONGEST_STACK = 61
"""An engine takes names of 63 characters, and what is in the stack is called `<stack>_<name>`."""

_PREDEFINED = frozenset({"host", "bridge", "none"})


def swarm_services(stack: Stack, name: str) -> dict[str, Service]:
    """Every service by its key, also those without labels of ours. `name`: the stack's, empty where it is not known.

    They are younger than whatever exists, and of two the one further up is the older. Ids are names.
    """
    return {
        key: _service(service, stack.networks, name, position)
        for position, (key, service) in enumerate(sorted(stack.services.items(), key=lambda item: item[1].place))
    }


def mistake_of_name(stack: str) -> str:
    """Why Docker refuses every service of a stack of this name, and the remedy; empty where it does not."""
    if not stack.strip("\"' \t\r\n"):
        return "is empty, and so Docker refuses it; write a name such as shop"
    if len(stack) > _LONGEST_STACK:
        return f"has {len(stack)} characters, and with any service's name more than Docker's 63; shorten it"
    if _STACK.fullmatch(stack):
        return ""
    near = re.sub(r"[^A-Za-z0-9_-]+", "-", stack).strip("-_")
    return (
        "is no name that Docker takes for the services and networks of a stack; "
        f"write letters, digits, '-' and '_', a letter or digit first, such as {near or 'shop'}"
    )


def full_name(key: str, stack: str) -> str:
    """What Docker calls a service of the stack."""
    return f"{stack}_{key}" if stack else key


def _service(service: ComposeService, networks: Mapping[str, ComposeNetwork], stack: str, position: int) -> Service:
    labels = {key: value.text for key, value in service.labels.items()}
    # A network of an unnamed stack is called as the label that must mean it calls it.
    asked = labels.get(NETWORK.name, "").strip()
    attached = sorted(
        {
            _network(key, networks.get(key), stack, asked, service)
            for key in (service.networks or {DEFAULT: service.place})
        }
    )
    replicas = None if service.mode == "global" else 1 if service.replicas is None else service.replicas
    name = full_name(service.name, stack)
    task = Task(
        id=f"{name}.1",
        slot=1,
        node_address=_ADDRESS,
        state="running",
        desired="running",
        addresses={network.id: _ADDRESS for network in attached},
        ports=tuple(
            PublishedPort(target=port.target, published=port.published or port.target, protocol=port.protocol)
            for port in service.ports
            if port.mode == "host"
        ),
    )
    return Service(
        id=name,
        name=name,
        created=f"9999-12-31T23:59:59.{position:09d}Z",
        labels=relevant({**labels, **({STACK: stack} if stack else {})}),
        networks=tuple(attached),
        tasks=() if replicas == 0 else (task,),
        replicas=replicas,
        ports=service.ports,
        dnsrr=service.endpoint_mode == "dnsrr",
    )


def _network(key: str, network: ComposeNetwork | None, stack: str, asked: str, service: ComposeService) -> Network:
    found = network or ComposeNetwork()
    if found.external or found.name:
        name = found.name or key
    elif stack or not asked.endswith(f"_{key}"):
        name = full_name(key, stack)
    else:
        name = asked
    driver = name if found.external and name in _PREDEFINED else found.driver or "overlay"
    return Network(
        id=name,
        name=name,
        driver=driver,
        ingress=found.external and name == "ingress",
        vip=None if service.endpoint_mode == "dnsrr" or driver in _PREDEFINED else _VIRTUAL,
    )
