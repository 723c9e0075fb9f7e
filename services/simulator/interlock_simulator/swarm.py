"""The simulated swarm's state: objects, their order, their addresses, what is due when. Explicit state, no
I/O, no clock.

Everything here is a plain step (`put_task`, `attach`, `due`); what to do next is decided by `orchestrator`,
`rolling` and
`lifecycle`, driven by `machine.advance`. Not safe for threads: one loop owns it.
"""

from __future__ import annotations

import heapq
import random
import string
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import msgspec

from interlock_simulator.addresses import Pool, Subnet
from interlock_simulator.events import Ring
from interlock_simulator.profile import REAL, Profile
from interlock_simulator.values import Attachment, Effect, Json, Material, Network, Node, Service, Task

_ALPHABET = string.digits + string.ascii_lowercase


@dataclass(slots=True, kw_only=True)
class Truth:
    """What really happened to one task, with true instants; kept after the task is gone from the API."""

    task_id: str
    service: str
    created: float
    started: float | None = None
    opening: float | None = None
    """When the process was told to listen; SIGTERM must reach it from then."""
    listening: float | None = None
    """When it really accepted, as the shell tells."""
    running: float | None = None
    desired_off: float | None = None
    """When desired state turned from running, as the API shows it."""
    sigterm: float | None = None
    exited: float | None = None
    killed: bool = False
    address: str = ""


@dataclass(slots=True, kw_only=True)
class Rollout:
    """A rolling update under way: which slots wait, which are being replaced, which new tasks are watched."""

    spec: Json
    """Of the service, towards which it works."""
    rollback: bool
    queue: list[str]
    total: int
    started: float
    replacing: dict[str, str] = field(default_factory=dict)
    """key of the slot → id of its new task"""
    resting: dict[str, float] = field(default_factory=dict)
    """key of the slot → until when its worker waits before it takes the next"""
    watched: dict[str, float] = field(default_factory=dict)
    """id of a new task → until when its failure counts"""
    failures: int = 0
    quiet_until: float = 0.0


class Swarm:
    """All objects of the swarm. `random` and every time come from outside."""

    def __init__(
        self,
        rng: random.Random,
        profile: Profile = REAL,
        *,
        pool: str = "127.20.0.0/16",
        serial: bool = False,
        history: int = 5,
    ) -> None:
        self.random = rng
        self.profile = profile
        self.pool = Pool(pool)
        self.serial = serial
        self.history = history
        self.ring = Ring()
        self.drop_event = False
        """Set by the shell while a fault makes events vanish."""
        self.nodes: dict[str, Node] = {}
        self.networks: dict[str, Network] = {}
        self.services: dict[str, Service] = {}
        self.names: dict[str, str] = {}
        self.tasks: dict[str, Task] = {}
        self.materials: dict[str, Material] = {}
        self.truths: dict[str, Truth] = {}
        self.rollouts: dict[str, Rollout] = {}
        self.of_service: dict[str, dict[str, None]] = defaultdict(dict)
        self.load: dict[str, int] = defaultdict(int)
        self.subnets: dict[str, Subnet] = {}
        self.restarts: dict[tuple[str, str], int] = defaultdict(int)
        self.freed: dict[str, None] = {}
        """Tasks whose addresses were given back: what they still show may be another's by now."""
        self.dirty: dict[str, None] = {}
        self.replaces: dict[str, str] = {}
        """A task that still stops → the task that may start when it has."""
        self.attached: dict[tuple[str, str], int] = defaultdict(int)
        """(node, network) → tasks there: a node is attached to a network while there are any."""
        self.effects: list[Effect] = []
        self.index = 10
        self._agenda: list[tuple[float, int, str, str]] = []
        self._order = count()
        self.next_pid = count(2000)

    # ids, versions, events

    def new_id(self) -> str:
        """25 characters, as swarmkit's ids."""
        return "".join(self.random.choices(_ALPHABET, k=25))

    def hex_id(self) -> str:
        """64 hexadecimal digits, as a container's id."""
        return f"{self.random.getrandbits(256):064x}"

    def bump(self) -> int:
        """The next Version.Index."""
        self.index += 1
        return self.index

    def event(self, kind: str, action: str, object_id: str, name: str, now: float, **more: str) -> None:
        """Appends an event; attribute names take `_` for `.` (`state_new`)."""
        if self.drop_event:
            return
        attributes = {"name": name, **{key.replace("_", "."): value for key, value in more.items()}}
        self.ring.append(kind, action, object_id, attributes, now)

    # the agenda

    def at(self, when: float, what: str, object_id: str) -> None:
        """Something is due at `when`: `what` is a step that `machine` knows, for that object."""
        heapq.heappush(self._agenda, (when, next(self._order), what, object_id))

    def next_due(self) -> float | None:
        """When something is due next."""
        return self._agenda[0][0] if self._agenda else None

    def due(self, now: float) -> Iterator[tuple[str, str]]:
        """Takes from the agenda what is due at `now`, in order."""
        while self._agenda and self._agenda[0][0] <= now:
            _, _, what, object_id = heapq.heappop(self._agenda)
            yield what, object_id

    def vary(self, seconds: float) -> float:
        """A delay with the profile's jitter."""
        spread = self.profile.jitter
        return seconds * (1 + self.random.uniform(-spread, spread)) if spread else seconds

    # objects

    def put_task(self, task: Task, now: float) -> Task:
        """Stores a task with a new Version.Index and marks its service for reconciling."""
        old = self.tasks.get(task.id)
        stored = msgspec.structs.replace(task, index=self.bump(), updated=now)
        self.tasks[task.id] = stored
        if old is None:
            self.of_service[task.service_id][task.id] = None
            self.truths[task.id] = Truth(task_id=task.id, service=task.service_name, created=now)
        self._count(old, -1)
        self._count(stored, 1)
        self.dirty[task.service_id] = None
        return stored

    def _count(self, task: Task | None, by: int) -> None:
        if task is not None and task.node_id and task.active:
            self.load[task.node_id] += by

    def drop_task(self, task_id: str) -> None:
        """The task is no more in the API; its truth stays."""
        task = self.tasks.pop(task_id)
        self._count(task, -1)
        self.release(task, task.updated)
        del self.freed[task_id]
        self.of_service[task.service_id].pop(task_id, None)
        if not self.of_service[task.service_id]:
            del self.of_service[task.service_id]
        self.dirty[task.service_id] = None

    def put_service(self, service: Service, now: float) -> Service:
        """Stores a service with a new Version.Index and marks it for reconciling."""
        stored = msgspec.structs.replace(service, index=self.bump(), updated=now)
        self.services[service.id] = stored
        self.names[service.name] = service.id
        self.dirty[service.id] = None
        return stored

    def put_node(self, node: Node, now: float) -> Node:
        """Stores a node with a new Version.Index."""
        stored = msgspec.structs.replace(node, index=self.bump(), updated=now)
        self.nodes[node.id] = stored
        return stored

    def tasks_of(self, service_id: str) -> list[Task]:
        """The tasks of a service, oldest first."""
        return [self.tasks[task_id] for task_id in self.of_service.get(service_id, ())]

    def truth(self, task_id: str) -> Truth:
        """What really happened to that task."""
        return self.truths[task_id]

    # addresses

    def take(self, network_id: str) -> Attachment | None:
        """An address on the network; None when its subnet is full."""
        subnet = self.subnets[network_id]
        address = subnet.take()
        return None if address is None else Attachment(network_id, address, subnet.prefix)

    def attach(self, task: Task, now: float) -> None:
        """The task has come to a node. The first one of a network there changes the node, as an event tells."""
        for place in task.attachments:
            self.attached[task.node_id, place.network_id] += 1
            if self.attached[task.node_id, place.network_id] == 1:
                self._node_changed(task.node_id, place.network_id, now)

    def _node_changed(self, node_id: str, network_id: str, now: float) -> None:
        # Every node is on the ingress network anyway.
        network = self.networks.get(network_id)
        if network is None or not network.ingress:
            node = self.put_node(self.nodes[node_id], now)
            self.event("node", "update", node.id, node.hostname, now)

    def release(self, task: Task, now: float) -> None:
        """Frees the task's addresses for others. It goes on showing them, as Docker's dead tasks do; again
        is no harm."""
        if task.id in self.freed:
            return
        self.freed[task.id] = None
        for place in task.attachments:
            if place.network_id in self.subnets:
                self.subnets[place.network_id].give_back(place.address)
            if task.node_id:
                self.attached[task.node_id, place.network_id] -= 1
                if not self.attached[task.node_id, place.network_id]:
                    self._node_changed(task.node_id, place.network_id, now)
