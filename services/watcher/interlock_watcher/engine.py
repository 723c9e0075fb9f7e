"""What we read of the Docker Engine API, as typed values: only the fields that routing needs. No I/O.

Decoding skips everything else, which makes a listing of 30,000 tasks a matter of 0.1 s. `docker_source` decodes into
these; `translate` makes `interlock.model.swarm` values of them. Docker writes null where Go has a nil: hence `None`.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import field

DOWN = "down"


class Raw(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", gc=False):
    """Fields are named as Docker names them. `gc=False`: there are no cycles, and there are many of these."""


class Index(Raw, frozen=True, kw_only=True):
    index: int


class NetworkTarget(Raw, frozen=True, kw_only=True):
    target: str


class TaskTemplate(Raw, frozen=True, kw_only=True):
    networks: tuple[NetworkTarget, ...] | None = None


class Replicated(Raw, frozen=True, kw_only=True):
    replicas: int | None = None


class Mode(Raw, frozen=True, kw_only=True):
    replicated: Replicated | None = None


class PortConfig(Raw, frozen=True, kw_only=True):
    protocol: str = "tcp"
    target_port: int = 0
    published_port: int = 0
    publish_mode: str = ""


class EndpointSpec(Raw, frozen=True, kw_only=True):
    mode: str = "vip"
    ports: tuple[PortConfig, ...] | None = None


class ServiceSpec(Raw, frozen=True, kw_only=True):
    name: str
    labels: dict[str, str] | None = None
    task_template: TaskTemplate = TaskTemplate()
    mode: Mode = Mode()
    networks: tuple[NetworkTarget, ...] | None = None
    endpoint_spec: EndpointSpec | None = None


class VirtualIP(Raw, frozen=True, kw_only=True):
    network_id: str = field(name="NetworkID")
    addr: str = ""


class Endpoint(Raw, frozen=True, kw_only=True):
    virtual_ips: tuple[VirtualIP, ...] | None = field(name="VirtualIPs", default=None)


class UpdateStatus(Raw, frozen=True, kw_only=True):
    state: str = ""


class RawService(Raw, frozen=True, kw_only=True):
    """A service object; its `index` grows with every change of it."""

    id: str = field(name="ID")
    version: Index
    created_at: str
    spec: ServiceSpec
    endpoint: Endpoint = Endpoint()
    update_status: UpdateStatus | None = None

    @property
    def labels(self) -> dict[str, str]:
        return self.spec.labels or {}

    @property
    def replicas(self) -> int | None:
        """Wanted tasks of a replicated service; None for other modes."""
        replicated = self.spec.mode.replicated
        return None if replicated is None else (1 if replicated.replicas is None else replicated.replicas)

    @property
    def updating(self) -> bool:
        """A rolling update, or its rollback, is under way."""
        return self.update_status is not None and self.update_status.state in {"updating", "rollback_started"}

    @property
    def ports(self) -> tuple[PortConfig, ...]:
        """What it asks to publish."""
        return (self.spec.endpoint_spec and self.spec.endpoint_spec.ports) or ()

    @property
    def dnsrr(self) -> bool:
        """It is to have no virtual IPs."""
        return self.spec.endpoint_spec is not None and self.spec.endpoint_spec.mode == "dnsrr"

    @property
    def network_ids(self) -> tuple[str, ...]:
        """Networks that the tasks join, by id."""
        targets = self.spec.task_template.networks or self.spec.networks or ()
        return tuple(target.target for target in targets)


class PortStatus(Raw, frozen=True, kw_only=True):
    ports: tuple[PortConfig, ...] | None = None


class TaskStatus(Raw, frozen=True, kw_only=True):
    state: str
    timestamp: str = ""
    port_status: PortStatus | None = None


class NetworkId(Raw, frozen=True, kw_only=True):
    id: str = field(name="ID")


class Attachment(Raw, frozen=True, kw_only=True):
    network: NetworkId
    addresses: tuple[str, ...] | None = None


class RawTask(Raw, frozen=True, kw_only=True):
    """A task object. A task that has not been assigned has no node."""

    id: str = field(name="ID")
    service_id: str = field(name="ServiceID", default="")
    node_id: str = field(name="NodeID", default="")
    slot: int = 0
    status: TaskStatus
    desired_state: str
    updated_at: str = ""
    networks_attachments: tuple[Attachment, ...] | None = None

    @property
    def ports(self) -> tuple[PortConfig, ...]:
        """What it has published on its node, that is in host mode; each twice, once for either family of addresses."""
        return (self.status.port_status and self.status.port_status.ports) or ()


class NodeStatus(Raw, frozen=True, kw_only=True):
    state: str = "unknown"
    addr: str = ""


class ManagerStatus(Raw, frozen=True, kw_only=True):
    addr: str = ""


class NodeDescription(Raw, frozen=True, kw_only=True):
    hostname: str = ""


class RawNode(Raw, frozen=True, kw_only=True):
    id: str = field(name="ID")
    status: NodeStatus = NodeStatus()
    manager_status: ManagerStatus | None = None
    description: NodeDescription = NodeDescription()

    @property
    def down(self) -> bool:
        """Only `down` counts: at a change of leader every node reads `unknown` for seconds."""
        return self.status.state == DOWN

    @property
    def address(self) -> str:
        """Where host-mode ports are reached. A manager may report 0.0.0.0 of itself."""
        if self.status.addr not in {"", "0.0.0.0", "::"} or self.manager_status is None:
            return self.status.addr
        return self.manager_status.addr.rpartition(":")[0].strip("[]")


class RawNetwork(Raw, frozen=True, kw_only=True):
    id: str = field(name="Id")
    name: str
    driver: str = ""
    ingress: bool = False


class Actor(Raw, frozen=True, kw_only=True):
    id: str = field(name="ID", default="")
    attributes: dict[str, str] | None = None


class RawEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event: a hint to look, and a cause to carry on."""

    type: str = field(name="Type", default="")
    action: str = field(name="Action", default="")
    actor: Actor = field(name="Actor", default=Actor())
    time_nano: int = field(name="timeNano", default=0)

    @property
    def id(self) -> str:
        """Unique: Docker numbers nothing, but no two events share time, type, action and actor."""
        return f"docker-{self.time_nano}-{self.type}-{self.action}-{self.actor.id[:12]}"

    @property
    def at(self) -> float:
        """Unix seconds by Docker's clock."""
        return self.time_nano / 1e9

    @property
    def what(self) -> str:
        name = (self.actor.attributes or {}).get("name") or self.actor.id[:12]
        return f"{self.type} {self.action} {name}"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, as four requests answered. `unreadable`: ids of services whose object, or a task, made no sense."""

    services: tuple[RawService, ...] = ()
    tasks: tuple[RawTask, ...] = ()
    nodes: tuple[RawNode, ...] = ()
    networks: tuple[RawNetwork, ...] = ()
    unreadable: frozenset[str] = frozenset()


def unix_time(text: str) -> float | None:
    """Docker's RFC 3339 with nanoseconds as Unix seconds; None for the zero time and for what cannot be read."""
    try:
        value = msgspec.convert(text, datetime)
        stamp = value.timestamp() if value.tzinfo is not None else None
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None
    return stamp if stamp is not None and stamp > 0 else None
