"""What may be asked of Docker's DNS about an endpoint, and what may be answered. Pure.

Docker answers, for networks that this container is attached to and for no other (measured on Docker 20.10):
`tasks.<service>.<network>` with the addresses of the service's tasks on all nodes, `<service>.<network>` with its
virtual IP, and for an address its owner: `<service>.<slot>.<task id>.<network>`, or `<container>.<network>`; none for a
virtual IP. The names are case-sensitive, and without the network the answer is of any one network. A name that it does
not have it asks of outer servers: NXDOMAIN where one answers, silence on a node without a way out.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from interlock.model.routing import VIP, Endpoint


class Question(NamedTuple):
    """`A`: the addresses of a name. `PTR`: the names of an address."""

    kind: Literal["A", "PTR"]
    name: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `said`: whether there was an answer in which `values` may be looked for.

    Not said are an absent name and any failure alike, since Docker makes the one into the other. `whole` is false
    where the answer was cut short, so that what is missing in it may be there.
    """

    said: bool = False
    values: frozenset[str] = frozenset()
    whole: bool = True


def forward(endpoint: Endpoint) -> Question:
    """Whose answer should hold the endpoint's address."""
    name = f"{endpoint.service}.{endpoint.network}."
    return Question("A", name if endpoint.task == VIP else f"tasks.{name}")


def backward(address: str) -> Question:
    """Whose the address is."""
    return Question("PTR", address)


def askable(endpoint: Endpoint) -> bool:
    """Whether Docker's DNS can know it: it is on a network, and has an IPv4 address."""
    return bool(endpoint.network) and ":" not in endpoint.address


class Owner(NamedTuple):
    """Whom Docker names as an address's owner. A container that is no task has itself for a service and a task."""

    service: str
    task: str


def owner(answer: Answer | None, network: str) -> Owner | None:
    """The owner on this network; None where none is named. An outer server's answer names no network of ours."""
    for name in sorted(answer.values) if answer else ():
        short, _, rest = name.removesuffix(".").rpartition(".")
        if rest == network and short:
            labels = short.split(".")
            # `<service>.<slot>.<task id>`; a container's name may have points of its own, but no id of 25 characters.
            if len(labels) == 3 and len(labels[2]) == _TASK_ID:
                return Owner(labels[0], labels[2])
            return Owner(short, short)
    return None


_TASK_ID = 25
