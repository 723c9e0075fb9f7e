"""What the simulated swarm consists of: frozen values, replaced and never changed. No I/O, no clock.

Times are seconds since the epoch (float); `shapes` turns them into Docker's RFC 3339 texts.
"""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]

# Docker's order: a task only ever moves to the right.
STATES = (
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
)
ORDER = {state: number for number, state in enumerate(STATES)}


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What a task's container does once it runs; read from the service's spec by `workload.of`."""

    port: int = 8080
    version: str = "1"
    listens: bool = True
    """False: the task is running and nothing listens, for 10,000 idle services."""
    start_delay: float | None = None
    """Seconds from process start to listening; None is the profile's."""
    health_delay: float | None = None
    """Seconds from process start to `running`; None: no health check, running at once."""
    grace: float = 10.0
    """Seconds from SIGTERM to SIGKILL."""
    ignore_sigterm: bool = False
    crash_after: float | None = None
    """Seconds from process start until it dies of itself: a crash loop."""


class Attachment(msgspec.Struct, frozen=True):
    """One task's place on one network; `address` is bare, `prefix` the length of the subnet's mask."""

    network_id: str
    address: str
    prefix: int


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task as the API shows it. `slot` is 0 for a global service's task; `key` is its slot or its node."""

    id: str
    service_id: str
    service_name: str
    key: str
    slot: int
    template: Json
    endpoint: Json
    workload: Workload
    index: int = 0
    created: float
    updated: float
    state: str = "new"
    desired: str = "running"
    state_at: float
    message: str = "created"
    err: str = ""
    node_id: str = ""
    attachments: tuple[Attachment, ...] = ()
    container_id: str = ""
    pid: int = 0
    exit_code: int = 0
    forever: bool = False
    """Its process answers no more (node lost): nothing but the node's return changes its state."""

    @property
    def active(self) -> bool:
        """Wanted, now or soon: counts for its slot."""
        return self.desired in {"running", "ready"}

    @property
    def ended(self) -> bool:
        """Its process is known to be over."""
        return ORDER[self.state] > ORDER["running"]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service; `vips` maps network id to (address, prefix)."""

    id: str
    name: str
    spec: Json
    previous: Json | None = None
    update_status: Json | None = None
    vips: tuple[Attachment, ...] = ()
    ports: tuple[Json, ...] = ()
    index: int = 0
    created: float
    updated: float

    @property
    def replicas(self) -> int | None:
        """Wanted number of tasks; None for a global service."""
        replicated = self.spec["Mode"].get("Replicated")
        return None if replicated is None else int(replicated.get("Replicas", 1))

    @property
    def template(self) -> Json:
        """The task template of the present spec."""
        template: Json = self.spec["TaskTemplate"]
        return template


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """One network; `subnet` in CIDR form, empty for those without addresses of ours."""

    id: str
    name: str
    driver: str = "overlay"
    scope: str = "swarm"
    subnet: str = ""
    labels: Json = {}
    options: Json = {}
    attachable: bool = False
    internal: bool = False
    ingress: bool = False
    index: int = 0
    created: float


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node; `spec` holds Role, Availability, Labels (and Name) as Docker's NodeSpec does."""

    id: str
    hostname: str
    address: str
    spec: Json
    state: str = "ready"
    leader: bool = False
    reachable: bool = True
    """False: lost or cut off; what runs there does not hear the managers."""
    index: int = 0
    created: float
    updated: float

    @property
    def availability(self) -> str:
        """active, pause or drain."""
        return str(self.spec.get("Availability", "active"))


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """A secret or a config; the content of a secret is never given back."""

    id: str
    kind: str
    name: str
    spec: Json
    index: int = 0
    created: float
    updated: float


class Listen(msgspec.Struct, frozen=True):
    """Effect: the task's process begins to accept connections."""

    task_id: str


class Sigterm(msgspec.Struct, frozen=True):
    """Effect: the process is asked to end; the shell reports its exit with `machine.exited`."""

    task_id: str


class Kill(msgspec.Struct, frozen=True):
    """Effect: the process ends at once, its connections are reset."""

    task_id: str


class Blackhole(msgspec.Struct, frozen=True):
    """Effect: the process cannot be reached any more (on=True), or again."""

    task_id: str
    on: bool


class VipUp(msgspec.Struct, frozen=True):
    """Effect: the service's VIPs and ingress ports begin to forward."""

    service_id: str


class VipDown(msgspec.Struct, frozen=True):
    """Effect: they stop."""

    service_id: str


Effect = Listen | Sigterm | Kill | Blackhole | VipUp | VipDown
