"""The region as known: what was read of Docker, in the order in which the reads *began*. Pure; clock as argument.

A read carries a ticket taken when its request started. An older ticket never overwrites a newer one, however late its
answer came. Nothing is withdrawn by one answer alone: a direct look must be 404, and a listing lack the service too, or
an event have removed it; a listing that lacks too much must be confirmed by another (`plausibility`). Times are of a
clock that never jumps; `reckon` says how far others' is from it. Not thread-safe; `watch` holds the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import structs

from interlock.labels.relevance import is_interlock_service
from interlock.model.swarm import Service
from interlock_watcher import settle
from interlock_watcher.engine import Listing, RawNetwork, RawNode, RawService, RawTask
from interlock_watcher.known import Changed, Changes, Known, changed_at, with_ports
from interlock_watcher.plausibility import AGAIN, Doubts, Loss, Verdict
from interlock_watcher.translate import draining, translate

OLDER_INDEX_FOR = 10.0
"""Seconds for which a smaller Version.Index is taken for a manager that lags; after that the Swarm was restored."""

_TOMBSTONE = 300.0


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


class View:
    """All services of ours in the region, with the nodes and networks that they refer to."""

    def __init__(self, translate_with: Translate = translate) -> None:
        self.complete_ticket = 0
        self.unreadable: dict[str, str] = {}
        self.nodes: dict[str, RawNode] = {}
        self.networks: dict[str, RawNetwork] = {}
        self.doubts = Doubts()
        self.verdict = Verdict()
        self.listing_wanted = False
        """A direct look found something gone that only a listing, or an event, may withdraw."""
        self._offset = 0.0
        self._translate = translate_with
        self._known: dict[str, Known] = {}
        self._gone: dict[str, tuple[int, float]] = {}
        self._touched: dict[str, tuple[int, float]] = {}
        self._removed: dict[str, tuple[int, float]] = {}
        self._lacking: set[str] = set()
        self._former: dict[str, bool] = {}
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

    def removed(self, service_id: str, now: float) -> None:
        """An event said that the service is removed: a direct look that is 404 is enough."""
        self.touch(service_id, now)
        self._removed[service_id] = (self._ticket, now)

    def touch_node(self, node_id: str, now: float) -> None:
        """An event named the node: its services' tasks will change without any event of their own."""
        for known in self._known.values():
            if any(task.node_id == node_id for task in known.tasks):
                self.touch(known.raw.id, now)

    def seed_drains(self, services: Iterable[Service], now: float) -> Changes:
        """Since when tasks drain, as a former owner saw it, where that is earlier than we did; what changed by it."""
        seeds = {
            # The former owner's clock may have been ahead.
            task.id: min(task.draining_since - self._offset, now)
            for service in services
            for task in service.tasks
            if task.draining_since is not None
        }
        self._seeds |= seeds
        late = []
        for known in self._known.values():
            earlier = {id_: seeds[id_] for id_, at in known.drains.items() if seeds.get(id_, at) < at}
            if earlier:
                known.drains |= earlier
                late.append(known)
        return self._retranslate(now, late)

    def expect(self, services: Iterable[Service]) -> None:
        """What a former owner published: the next listing is measured by it as well."""
        self._former = {service.id: any(task.wanted for task in service.tasks) for service in services}

    def believes(self, id_: str) -> bool:
        """Whether the last listing counts for this service; what is doubted answers no hint."""
        return not self.verdict.whole and id_ not in self.verdict.held

    @property
    def withheld(self) -> bool:
        """Whether the last listing may not yet take the place of what a former owner published."""
        return self.verdict.whole or bool(self.verdict.held and self._former)

    def reckon(self, offset: float, now: float) -> Changes:
        """Others' clock is our own and `offset` seconds: what is dated changes with it."""
        self._offset = offset
        return self._retranslate(now, (known for known in self._known.values() if known.drains))

    def apply_service(self, ticket: int, now: float, raw: RawService, tasks: Iterable[RawTask]) -> Changes:
        """A direct read of one service."""
        changes: Changes = {}
        found = tuple(sorted(tasks, key=_id))
        known = self._known.get(raw.id)
        if known is not None and known.serves and not found and raw.replicas != 0:
            # Swarm replaces tasks and keeps what has ended: none at all is for a listing to say.
            found, self.listing_wanted = known.tasks, True
        self._accept(ticket, now, raw, found, changes)
        return changes

    def apply_absent(self, ticket: int, now: float, service_id: str) -> Changes:
        """A direct look at the service was answered 404."""
        self._touched.pop(service_id, None)
        known = self._known.get(service_id)
        if known is None or known.ticket > ticket:
            return {}
        if service_id not in self._removed and service_id not in self._lacking:
            self.listing_wanted = True
            self.postpone((service_id,), now + AGAIN)
            return {}
        return self._withdraw(ticket, now, service_id)

    def apply_listing(
        self, ticket: int, now: float, listing: Listing, *, began: float | None = None
    ) -> tuple[Changes, list[str]]:
        """A full listing; also the ids to look at directly, since the listing lacks them. `began`: None for `now`."""
        tasks: dict[str, list[RawTask]] = {}
        for task in listing.tasks:
            tasks.setdefault(task.service_id, []).append(task)
        loss = self._loss(ticket, listing, tasks)
        self.verdict = self.doubts.judge(loss, began=now if began is None else began, ended=now)
        if self.verdict.whole:
            self._lacking = set()
            return {}, []
        held = self.verdict.held
        if not held:
            self._former = {}
        changes = self._take_nodes(ticket, now, listing.nodes)
        changes |= self.apply_networks(ticket, now, listing.networks)
        for raw in listing.services:
            if raw.id not in listing.unreadable and raw.id not in held:
                self._accept(ticket, now, raw, tuple(sorted(tasks.get(raw.id, ()), key=_id)), changes)
        self.unreadable = {
            id_: why for id_, why in self.unreadable.items() if id_ in self._known and id_ not in listing.unreadable
        } | dict.fromkeys(listing.unreadable, "Docker's object, or that of a task, makes no sense")
        listed = {raw.id for raw in listing.services} | listing.unreadable
        absent = [
            id_
            for id_, known in self._known.items()
            if id_ not in listed
            and id_ not in held
            and known.ticket < ticket
            and self._touched.get(id_, (0, 0.0))[0] < ticket
        ]
        self._lacking = set(absent)
        self.complete_ticket = max(self.complete_ticket, ticket)
        self._forget(now)
        return changes, absent

    def apply_nodes(self, ticket: int, now: float, nodes: Iterable[RawNode]) -> Changes:
        """All nodes: what changed with them."""
        nodes = tuple(nodes)
        if self._strange(nodes):
            self.listing_wanted = True
            return {}
        return self._take_nodes(ticket, now, nodes)

    def _strange(self, nodes: Iterable[RawNode]) -> bool:
        return bool(self.nodes) and self.nodes.keys().isdisjoint(node.id for node in nodes)

    def _take_nodes(self, ticket: int, now: float, nodes: Iterable[RawNode]) -> Changes:
        if ticket < self._nodes_ticket:
            return {}
        self._nodes_ticket = ticket
        new = {node.id: node for node in nodes}
        if gone := self.nodes.keys() - new.keys():
            # What is known of a node, that it is down maybe, holds as long as a task is said to be there.
            used = {task.node_id for known in self._known.values() for task in known.tasks}
            new |= {id_: self.nodes[id_] for id_ in gone & used}
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
        if gone := self.networks.keys() - new.keys():
            # Docker removes no network that a service is on, and never renames one.
            used = {net.id for known in self._known.values() if known.service for net in known.service.networks}
            new |= {id_: self.networks[id_] for id_ in gone & used}
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
        ours = is_interlock_service(raw.labels)
        if known is not None and self._lags(known, raw, now, ours=ours):
            # Asked again after a pause like any other: a manager that lags is not helped by being asked all the time.
            self._schedule(known, now)
            return
        if not ours:
            if known is not None:
                changes |= self._withdraw(ticket, now, raw.id)
            return
        self._gone.pop(raw.id, None)
        if raw.id in self._removed and self._removed[raw.id][0] < ticket:
            del self._removed[raw.id]
        if known is not None:
            tasks = with_ports(tasks, known.tasks)
        if known is None:
            known = self._known[raw.id] = Known(raw=raw, tasks=(), ticket=ticket)
            known.moved_at = self._touched.get(raw.id, (0, now if self.complete else 0.0))[1]
        elif known.raw == raw and known.tasks == tasks and known.service is not None:
            known.ticket = ticket
            self._schedule(known, now)
            return
        docker_at = changed_at(known.tasks, tasks, now + self._offset)
        known.raw, known.tasks, known.ticket = raw, tasks, ticket
        if self._update(known, now):
            known.moved_at = now if self.complete else known.moved_at
            changes[raw.id] = Changed(docker_at)
        self._schedule(known, now)

    def _lags(self, known: Known, raw: RawService, now: float, *, ours: bool) -> bool:
        # To lose our labels takes an update, and that a greater index.
        if raw.version.index >= known.raw.version.index + (not ours):
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
        drains = {id_: at + self._offset for id_, at in known.drains.items()}
        try:
            service = self._translate(known.raw, known.tasks, self.nodes, self.networks, drains)
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
        self._removed.pop(service_id, None)
        self._gone[service_id] = (ticket, now)
        self.unreadable.pop(service_id, None)
        return {service_id: Changed()} if known.service is not None else {}

    def _loss(self, ticket: int, listing: Listing, tasks: Mapping[str, list[RawTask]]) -> Loss:
        """What the listing lacks of what was known before it began, and was not said to be removed."""
        listed = {raw.id: raw for raw in listing.services if raw.id not in listing.unreadable}
        newer = {id_ for id_, known in self._known.items() if known.ticket > ticket}
        known = (self._known.keys() | self._former.keys()) - newer - self._removed.keys() - self._gone.keys()
        serving = {id_ for id_, one in self._known.items() if one.serves} | {
            i for i, did in self._former.items() if did
        }
        served = known & serving
        missing = known - listed.keys() - listing.unreadable
        taskless = {id_ for id_ in served & listed.keys() if not tasks.get(id_) and listed[id_].replicas != 0}
        return Loss(
            missing=frozenset(missing),
            known=len(known),
            taskless=frozenset(taskless),
            silenced=len(served & missing | taskless),
            served=len(served),
            strange=self._strange(listing.nodes),
        )

    def _forget(self, now: float) -> None:
        # Long after any read that could still be on its way.
        self._seeds = {i: at for i, at in self._seeds.items() if now - at < _TOMBSTONE}
        self._gone = {i: gone for i, gone in self._gone.items() if now - gone[1] < _TOMBSTONE}
        self._removed = {i: removed for i, removed in self._removed.items() if now - removed[1] < _TOMBSTONE}
        self._touched = {i: touched for i, touched in self._touched.items() if now - touched[1] < _TOMBSTONE}


def _id(task: RawTask) -> str:
    return task.id
