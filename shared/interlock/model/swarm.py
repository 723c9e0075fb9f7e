"""What Docker has, as far as routing needs it: services with their tasks, self-contained.

A `Service` carries network names and node facts by value, so that a planner of one service cluster needs nothing
but that cluster's own partition. Written by the watcher, read by planners.
"""

from __future__ import annotations

from typing import Literal

import msgspec

TaskState = Literal[
    "new",
    "pending",
    "assigned",
    "accepted",
    "preparing",
    "ready",
    "starting",
    "running",
    "complete",
    "shutdown",
    "failed",
    "rejected",
    "remove",
    "orphaned",
]


class PublishedPort(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A port of a task published in host mode: `target` inside the container, `published` on the node."""

    target: int
    published: int
    protocol: str = "tcp"


class ServicePort(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A port that a service asks to publish. `published` is 0 where each node picks one (in host mode).

    `mode`: `host` publishes on the node of each task, `ingress` on every node through the routing mesh.
    """

    target: int
    published: int = 0
    protocol: str = "tcp"
    mode: str = "ingress"

    def __str__(self) -> str:
        at = f" as {self.published}" if self.published else ""
        return f"{self.target}/{self.protocol}{at} in {self.mode} mode"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One replica. `addresses` maps a network's id to the task's IP on it, without prefix length.

    `draining_since`: Unix seconds at which the watcher first saw the desired state leave `running` while the task
    still ran; None for a task that is wanted.
    """

    id: str
    slot: int = 0
    node_id: str = ""
    node_address: str = ""
    node_down: bool = False
    state: str
    desired: str
    addresses: dict[str, str] = {}
    ports: tuple[PublishedPort, ...] = ()
    draining_since: float | None = None

    @property
    def wanted(self) -> bool:
        """An endpoint: state and desired state both running, on a node that is not down."""
        return self.state == "running" and self.desired == "running" and not self.node_down

    @property
    def draining(self) -> bool:
        """Still running, but Swarm has shown that it will be stopped."""
        return self.state == "running" and self.desired != "running" and not self.node_down


class Network(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A network that a service is attached to.

    `vip`: the service's virtual IP on it; None in DNSRR mode, and for a moment after the service's creation.
    """

    id: str
    name: str
    driver: str = "overlay"
    ingress: bool = False
    vip: str | None = None


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One Swarm service, whole: what travels on the bus.

    `labels` holds only `com.docker.lb.*` and `com.docker.stack.namespace`. `created` is Docker's CreatedAt
    (RFC 3339); it orders services that share a host. `index` is Docker's Version.Index of the service object.
    `tasks` holds the tasks that run or are to run, sorted by id; finished ones are left out. `ports` is what the
    service asks to publish, whether a task has it yet or not; `dnsrr`: it was created without virtual IPs.
    """

    id: str
    name: str
    created: str
    index: int = 0
    labels: dict[str, str] = {}
    networks: tuple[Network, ...] = ()
    tasks: tuple[Task, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    dnsrr: bool = False
    replicas: int | None = None
    updating: bool = False
