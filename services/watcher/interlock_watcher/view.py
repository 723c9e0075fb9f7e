"""The region as known: what was read of Docker, in the order in which the reads *began*. Pure; clock as argument.

A read carries a ticket taken when its request started. An older ticket never overwrites a newer one, however late its
answer came. Nothing is withdrawn by a listing: what it lacks must also be looked at directly, and be 404.
Not thread-safe; `watch` holds the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec
from msgspec import structs

from interlock.labels.relevance import is_interlock_service
from interlock.model.swarm import Service
from interlock_watcher import settle
from interlock_watcher.engine import Listing, RawNetwork, RawNode, RawService, RawTask, unix_time
from interlock_watcher.translate import draining, translate

OLDER_INDEX_FOR = 10.0
"""Seconds for which a smaller Version.Index is taken for a manager that lags; after that the Swarm was restored."""

_TOMBSTONE = 300.0
_SANE_AGE = 60.0


class Translate(Protocol):
    """`translate.translate`, or what stands in for it."""

    def __call__(
        self,
        service: RawService,
        tasks: Iterable[RawTask],
        nodes: Mapping[str, RawNode],
        networks: Mapping[str, RawNetwork],
        draining_since: Mapping[str, float],
        /,
    ) -> Service:
        """The service as it travels on the bus."""


class Changed(NamedTuple):
    """What a read revealed about one service. `docker_at`: Docker's own time of the change (Unix s), where it says."""

    docker_at: float | None = None


Changes = dict[str, Changed]


class Known(msgspec.Struct):
    """One service of ours: its last accepted read and what was made of it."""

    raw: RawService
    tasks: tuple[RawTask, ...]
    ticket: int
    service: Service | None = None
    drains: dict[str, float] = msgspec.field(default_factory=dict)
    moved_at: float = 0.0
    older_since: float | None = None


class View:
    """All services of ours in the region, with the nodes and networks that they refer to."""

    def __init__(self, translate_with: Translate = translate) -> None:
        self.complete_ticket = 0
        self.unreadable: dict[str, str] = {}
        self.nodes: dict[str, RawNode] = {}
        self.networks: dict[str, RawNetwork] = {}
        self._translate = translate_with
        self._known: dict[str, Known] = {}
        self._gone: dict[str, tuple[int, float]] = {}
        self._touched: dict[str, tuple[int, float]] = {}
        self._due: dict[str, float] = {}
        self._seeds: dict[str, float] = {}
        self._nodes_ticket = 0
        self._networks_ticket = 0
        self._ticket = 0

    @property
    def services(self) -> dict[str, Service]:
        """The present services by id."""
        return {id_: known.service for id_, known in self._known.items() if known.service is not None}

    @property
    def count(self) -> int:
        """How many services of ours there are."""
        return len(self._known)

    def service(self, id_: str) -> Service | None:
        """One service, None when it is not there."""
        known = self._known.get(id_)
        return known.service if known else None

    @property
    def complete(self) -> bool:
        """Whether everything has been listed at least once."""
        return self.complete_ticket > 0

    @property
    def nodes_unknown(self) -> bool:
        """Whether no node's state is known, as at a change of leader."""
        return bool(self.nodes) and all(node.status.state == "unknown" for node in self.nodes.values())

    def begin(self) -> int:
        """A ticket for a read that is about to start."""
        self._ticket += 1
        return self._ticket

    def touch(self, service_id: str, now: float) -> None:
        """An event named the service: whatever was asked before now does not speak of its absence."""
        self._touched[service_id] = (self.begin(), now)
        known = self._known.get(service_id)
        if known is not None:
            known.moved_at = now
            self._due[service_id] = now

    def touch_node(self, node_id: str, now: float) -> None:
        """An event named the node: its services' tasks will change without any event of their own."""
        for known in self._known.values():
            if any(task.node_id == node_id for task in known.tasks):
                self.touch(known.raw.id, now)

    def seed_drains(self, services: Iterable[Service], now: float) -> Changes:
        """Since when tasks drain, as a former owner saw it, where that is earlier than we did; what changed by it."""
        seeds = {t.id: t.draining_since for s in services for t in s.tasks if t.draining_since is not None}
        self._seeds |= seeds
        late = []
        for known in self._known.values():
            earlier = {id_: seeds[id_] for id_, at in known.drains.items() if seeds.get(id_, at) < at}
            if earlier:
                known.drains |= earlier
                late.append(known)
        return self._retranslate(now, late)

    def apply_service(self, ticket: int, now: float, raw: RawService, tasks: Iterable[RawTask]) -> Changes:
        """A direct read of one service. `now`: Unix seconds."""
        changes: Changes = {}
        self._accept(ticket, now, raw, tuple(sorted(tasks, key=_id)), changes)
        return changes

    def apply_absent(self, ticket: int, now: float, service_id: str) -> Changes:
        """A direct look at the service was answered 404."""
        self._touched.pop(service_id, None)
        known = self._known.get(service_id)
        if known is None or known.ticket > ticket:
            return {}
        return self._withdraw(ticket, now, service_id)

    def apply_listing(self, ticket: int, now: float, listing: Listing) -> tuple[Changes, list[str]]:
        """A full listing; also the ids to look at directly, since the listing lacks them."""
        changes = self.apply_nodes(ticket, now, listing.nodes)
        changes |= self.apply_networks(ticket, now, listing.networks)
        tasks: dict[str, list[RawTask]] = {}
        for task in listing.tasks:
            tasks.setdefault(task.service_id, []).append(task)
        for raw in listing.services:
            if raw.id not in listing.unreadable:
                self._accept(ticket, now, raw, tuple(sorted(tasks.get(raw.id, ()), key=_id)), changes)
        self.unreadable = {
            id_: why for id_, why in self.unreadable.items() if id_ in self._known and id_ not in listing.unreadable
        } | dict.fromkeys(listing.unreadable, "Docker's object, or that of a task, makes no sense")
        listed = {raw.id for raw in listing.services} | listing.unreadable
        absent = [
            id_
            for id_, known in self._known.items()
            if id_ not in listed and known.ticket < ticket and self._touched.get(id_, (0, 0.0))[0] < ticket
        ]
        self.complete_ticket = max(self.complete_ticket, ticket)
        self._forget(now)
        return changes, absent

    def apply_nodes(self, ticket: int, now: float, nodes: Iterable[RawNode]) -> Changes:
        """All nodes: what changed with them."""
        if ticket < self._nodes_ticket:
            return {}
        self._nodes_ticket = ticket
        new = {node.id: node for node in nodes}
        differ = {id_ for id_ in new.keys() | self.nodes.keys() if new.get(id_) != self.nodes.get(id_)}
        self.nodes = new
        if not differ:
            return {}
        touched = (k for k in self._known.values() if any(task.node_id in differ for task in k.tasks))
        return self._retranslate(now, touched)

    def apply_networks(self, ticket: int, now: float, networks: Iterable[RawNetwork]) -> Changes:
        """All networks: what changed with them."""
        if ticket < self._networks_ticket:
            return {}
        self._networks_ticket = ticket
        new = {network.id: network for network in networks}
        differ = {id_ for id_ in new.keys() | self.networks.keys() if new.get(id_) != self.networks.get(id_)}
        self.networks = new
        if not differ:
            return {}
        touched = (k for k in self._known.values() if k.service and any(net.id in differ for net in k.service.networks))
        return self._retranslate(now, touched)

    def due(self, now: float) -> list[str]:
        """Ids of unsettled services whose next read is due."""
        return [id_ for id_, at in self._due.items() if at <= now]

    def next_due(self) -> float | None:
        """When the next read is due, None when everything has settled."""
        return min(self._due.values(), default=None)

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Ids of the services that have not settled."""
        return tuple(self._due)

    def postpone(self, ids: Iterable[str], until: float) -> None:
        """Do not read these before `until`: they could not be read, or a listing is to cover them."""
        self._due |= {id_: until for id_ in ids if id_ in self._due}

    def _accept(self, ticket: int, now: float, raw: RawService, tasks: tuple[RawTask, ...], changes: Changes) -> None:
        known = self._known.get(raw.id)
        gone = self._gone.get(raw.id)
        if (known and known.ticket > ticket) or (gone and gone[0] > ticket):
            return
        if not is_interlock_service(raw.labels):
            if known is not None:
                changes |= self._withdraw(ticket, now, raw.id)
            return
        if known is not None and self._lags(known, raw, now):
            # Asked again after a pause like any other: a manager that lags is not helped by being asked all the time.
            self._schedule(known, now)
            return
        self._gone.pop(raw.id, None)
        if known is not None:
            tasks = _with_ports(tasks, known.tasks)
        if known is None:
            known = self._known[raw.id] = Known(raw=raw, tasks=(), ticket=ticket)
            known.moved_at = self._touched.get(raw.id, (0, now if self.complete else 0.0))[1]
        elif known.raw == raw and known.tasks == tasks and known.service is not None:
            known.ticket = ticket
            self._schedule(known, now)
            return
        docker_at = _changed_at(known.tasks, tasks, now)
        known.raw, known.tasks, known.ticket = raw, tasks, ticket
        if self._update(known, now):
            known.moved_at = now if self.complete else known.moved_at
            changes[raw.id] = Changed(docker_at)
        self._schedule(known, now)

    def _lags(self, known: Known, raw: RawService, now: float) -> bool:
        if raw.version.index >= known.raw.version.index:
            known.older_since = None
            return False
        if known.older_since is None:
            known.older_since = now
        return now - known.older_since < OLDER_INDEX_FOR

    def _update(self, known: Known, now: float) -> bool:
        known.drains = {
            task.id: known.drains.get(task.id) or self._seeds.get(task.id) or now
            for task in known.tasks
            if draining(task)
        }
        try:
            service = self._translate(known.raw, known.tasks, self.nodes, self.networks, known.drains)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one service, the others go on
            self.unreadable[known.raw.id] = f"{type(error).__name__}: {error}"
            return False
        self.unreadable.pop(known.raw.id, None)
        # The index moves with every edit, also of what means nothing for routing: alone it is no change.
        before, known.service = known.service, service
        return before is None or service != structs.replace(before, index=service.index)

    def _schedule(self, known: Known, now: float) -> None:
        touched = self._touched.get(known.raw.id)
        if touched is not None:
            known.moved_at = max(known.moved_at, touched[1])
        since = now - known.moved_at
        if settle.unsettled(known.raw, known.tasks, since_change=since):
            self._due[known.raw.id] = now + settle.pause(known.raw, since_change=since)
        else:
            self._due.pop(known.raw.id, None)

    def _retranslate(self, now: float, touched: Iterable[Known]) -> Changes:
        changes: Changes = {}
        for known in list(touched):
            if self._update(known, now):
                # What a node's state has done to its tasks shows next, and without an event.
                known.moved_at = now if self.complete else known.moved_at
                self._schedule(known, now)
                changes[known.raw.id] = Changed()
        return changes

    def _withdraw(self, ticket: int, now: float, service_id: str) -> Changes:
        known = self._known.pop(service_id)
        self._due.pop(service_id, None)
        self._gone[service_id] = (ticket, now)
        self.unreadable.pop(service_id, None)
        return {service_id: Changed()} if known.service is not None else {}

    def _forget(self, now: float) -> None:
        # Long after any read that could still be on its way.
        self._seeds = {i: at for i, at in self._seeds.items() if now - at < _TOMBSTONE}
        self._gone = {i: gone for i, gone in self._gone.items() if now - gone[1] < _TOMBSTONE}
        self._touched = {i: touched for i, touched in self._touched.items() if now - touched[1] < _TOMBSTONE}


def _id(task: RawTask) -> str:
    return task.id


def _with_ports(tasks: tuple[RawTask, ...], before: tuple[RawTask, ...]) -> tuple[RawTask, ...]:
    """The tasks; those that drain with the ports that they had.

    Docker says no more of them 0.2 s after it has shown that it will stop a task, and a second before it signals it.
    """
    had = {task.id: task.status.port_status for task in before if task.ports}
    if not had:
        return tasks
    return tuple(
        structs.replace(task, status=structs.replace(task.status, port_status=had[task.id]))
        if task.id in had and draining(task) and not task.ports
        else task
        for task in tasks
    )


def _changed_at(before: tuple[RawTask, ...], after: tuple[RawTask, ...], now: float) -> float | None:
    """When the earliest task change between two reads happened, by Docker's clock; None when it does not say."""
    old: Mapping[str, RawTask] = {task.id: task for task in before}
    times: list[float] = []
    for task in after:
        was = old.get(task.id)
        if was is not None and (was.status.state, was.desired_state) == (task.status.state, task.desired_state):
            continue
        moved = was is None or was.status.state != task.status.state
        at = unix_time(task.status.timestamp if moved else task.updated_at)
        if at is not None and now - _SANE_AGE < at <= now:
            times.append(at)
    return min(times, default=None)
