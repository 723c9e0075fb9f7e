"""The loops that read Docker: events as hints, what is unsettled often, everything from time to time.

Three threads with a connection each, so that a slow listing delays no hint. They share the `View` under one lock that
is never held across a request. What changed goes to the publisher. A failed read withdraws nothing: it is counted,
reported as staleness and repeated. A listing that lacks too much waits for a second one that says the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from interlock.errors import DockerError, DockerFailed, DockerRefused, DockerUnavailable, NotFound
from interlock.labels.relevance import is_interlock_service
from interlock.model.swarm import Service
from interlock.runtime.logging import get_logger
from interlock.wire.trail import CauseKind, Trail
from interlock_watcher import causes, settle
from interlock_watcher.causes import Hint
from interlock_watcher.clock import Clock
from interlock_watcher.docker_source import DockerSource
from interlock_watcher.engine import RawEvent
from interlock_watcher.failing import Failing
from interlock_watcher.health import Health
from interlock_watcher.inbox import Sink
from interlock_watcher.known import Changes
from interlock_watcher.view import View

RECONNECT_FIRST, RECONNECT_MOST = 0.1, 2.0
_RETRY = 0.5
_SETTLE_SHARE = 0.2
_SMOOTHING = 0.3
_IDLE = 1.0
_IN_A_ROW = 3
"""Services that fail one after another before it counts as Docker's failure, and no more are asked for a while."""


class Watch:
    """The region's view with the loops that keep it. `connect` makes a connection to Docker; each loop has its own."""

    def __init__(
        self,
        connect: Callable[[], DockerSource],
        sink: Sink,
        stop: threading.Event,
        *,
        poll_interval: float,
        region: str = "default",
        clock: Clock | None = None,
    ) -> None:
        self.view = View()
        self.clock = clock or Clock()
        self.health = Health(started=self.clock.now(), poll_interval=poll_interval)
        self.lock = threading.Lock()
        self._sources = {name: connect() for name in ("events", "reads", "listings")}
        self._sink = sink
        self._stop = stop
        self._poll_interval = poll_interval
        self._hints: dict[str, Hint] = {}
        self._failing = Failing()
        self._nodes_hinted = self._networks_hinted = False
        self._read_cost = 0.005
        self._poke = threading.Event()
        self._listing_wanted = threading.Event()
        self._listing_done = threading.Event()
        self._log = get_logger(service="watcher", region=region)

    @property
    def api_version(self) -> str:
        """The API version spoken, empty before the first contact."""
        return self._sources["listings"].api_version

    @property
    def engine_version(self) -> str:
        """The engine's own version."""
        return self._sources["listings"].engine_version

    def present(self, ids: Iterable[str]) -> dict[str, Service | None]:
        """The services as known now; None for what is not there."""
        with self.lock:
            return {id_: self.view.service(id_) for id_ in ids}

    def everything(self) -> dict[str, Service]:
        """All services as known now."""
        with self.lock:
            return self.view.services

    @property
    def unreadable(self) -> dict[str, str]:
        """Services whose present state is not known, by id, and why; what was known of them stays."""
        return {**self._failing.reasons, **self.view.unreadable}

    def seed(self, services: Iterable[Service]) -> None:
        """What a former owner published: since when tasks drain, and what the next listing is measured by."""
        services = tuple(services)
        with self.lock:
            self.view.seed_drains(services, self.clock.now())
            self.view.expect(services)

    def request_listing(self) -> int:
        """Have everything listed as soon as possible; the ticket that a listing must exceed to be later than now."""
        with self.lock:
            ticket = self.view.begin()
        self._listing_wanted.set()
        return ticket

    def close(self) -> None:
        """Ends reads that block. After `stop` is set."""
        self._poke.set()
        self._listing_wanted.set()
        for source in self._sources.values():
            source.close()

    def follow_events(self) -> None:
        """Loop: the event stream, opened again whenever it ends, and everything listed after each opening."""
        wait = RECONNECT_FIRST
        while not self._stop.is_set():
            opened = time.monotonic()
            try:
                for event in self._sources["events"].events():
                    if event is None:
                        self._opened()
                    else:
                        self._heard(event)
                self._stream_ended("Docker ended it")
            except DockerError as error:
                self._stream_ended(str(error))
            wait = RECONNECT_FIRST if time.monotonic() - opened > RECONNECT_MOST else min(wait * 2, RECONNECT_MOST)
            self._stop.wait(wait)

    def read_hinted(self) -> None:
        """Loop: read what events named and what has not settled."""
        while not self._stop.is_set():
            self._look_at_the_clock()
            now = self.clock.now()
            with self.lock:
                ids, due = self._wanted(now)
                cost = self.health.listing_cost
                # Where listings fail, single reads are the only ones that may still answer.
                listings_work = self.view.complete and self.health.failing_since is None
            others = self._read_hinted_others()
            if listings_work and settle.listing_is_cheaper(len(ids), self._read_cost, cost):
                self._list_instead(ids, cost)
            elif ids:
                self._read_all(ids)
            elif not others:
                self._poke.wait(_IDLE if due is None else min(max(due - now, 0.001), _IDLE))
                self._poke.clear()

    def _wanted(self, now: float) -> tuple[list[str], float | None]:
        """The services to read now, and when the next one is to be read."""
        wanted = dict.fromkeys((*self._hints, *self.view.due(now)))
        waiting = self._failing.put_off(wanted, now)
        for id_, until in waiting.items():
            self.view.postpone((id_,), until)
        due = self.view.next_due()
        times = waiting.values() if due is None else (due, *waiting.values())
        return [id_ for id_ in wanted if id_ not in waiting], min(times, default=None)

    def list_all(self) -> None:
        """Loop: everything, every poll interval, at once where somebody wants it."""
        kind: CauseKind = "resync"
        while not self._stop.is_set():
            self._listing_wanted.clear()
            ok = self._list(kind)
            with self.lock:
                interval = settle.stretched(self._poll_interval, self.health.listing_cost)
                self.health.poll_interval = interval
                again = self.view.doubts.again_at
            if again is not None:
                self._sources["listings"].renew()
                interval = min(interval, max(0.0 if ok else _RETRY, again - self.clock.now()))
            wanted = self._listing_wanted.wait(interval if ok else min(_RETRY, interval))
            kind = "resync" if wanted else "poll"

    def _opened(self) -> None:
        with self.lock:
            news = self.health.stream(self.clock.now(), connected=True)
            self.health.count("event_streams")
        if news:
            self._log.info("following Docker's events", docker=self._sources["events"].url)
        # Docker forgets all but 256 events without a word: what happened meanwhile is told by listing alone.
        self._listing_wanted.set()

    def _stream_ended(self, why: str) -> None:
        with self.lock:
            news = self.health.stream(self.clock.now(), connected=False)
        if news and not self._stop.is_set():
            self._log.warning("Docker's event stream ended; polling meanwhile", why=why)
            # Is it the stream alone, or Docker? A listing tells at once.
            self._listing_wanted.set()

    def _heard(self, event: RawEvent) -> None:
        now = self.clock.now()
        trail = causes.heard(event, self.clock.dated())
        with self.lock:
            self.health.count("events")
            if event.type == "service":
                (self.view.removed if event.action == "remove" else self.view.touch)(event.actor.id, now)
                before = self._hints.get(event.actor.id)
                merged = before.trail.merge(trail) if before else trail
                self._hints[event.actor.id] = Hint(self.view.begin(), merged)
            elif event.type == "node":
                self.view.touch_node(event.actor.id, now)
                self._nodes_hinted = True
            elif event.type == "network":
                self._networks_hinted = True
        self._poke.set()

    def _read_hinted_others(self) -> bool:
        # An event that comes from here on is one to look for again.
        with self.lock:
            nodes, networks = self._nodes_hinted, self._networks_hinted
            self._nodes_hinted = self._networks_hinted = False
        source = self._sources["reads"]
        try:
            if nodes:
                ticket = self._begin()
                listed = source.nodes()
                self._apply("event", ticket, lambda now: self.view.apply_nodes(ticket, now, listed))
            if networks:
                ticket = self._begin()
                found = source.networks()
                self._apply("event", ticket, lambda now: self.view.apply_networks(ticket, now, found))
        except DockerError as error:
            self._failed("nodes and networks", error)
            with self.lock:
                self._nodes_hinted |= nodes
                self._networks_hinted |= networks
            self._stop.wait(_RETRY)
        return nodes or networks

    def _read_all(self, ids: Iterable[str]) -> None:
        try:
            self._read_each(self._sources["reads"], ids)
        except DockerUnavailable as error:
            self._failed("single services", error)
            self._stop.wait(_RETRY)

    def _read_each(self, source: DockerSource, ids: Iterable[str], kind: CauseKind = "settle") -> None:
        """Read these one by one. One that fails is put off; raises when it is Docker that fails, not the service."""
        in_a_row = 0
        for id_ in ids:
            if self._stop.is_set():
                return
            began = time.monotonic()
            try:
                self._read(source, id_, kind)
            except (DockerFailed, DockerRefused) as error:
                self._put_off(id_, error, time.monotonic() - began)
                in_a_row = in_a_row + 1 if isinstance(error, DockerFailed) else 0
                if in_a_row == _IN_A_ROW:
                    raise
            except DockerUnavailable:
                self._send_to_the_end(id_)
                raise
            else:
                in_a_row = 0
                self._read_cost += _SMOOTHING * (time.monotonic() - began - self._read_cost)

    def _read(self, source: DockerSource, id_: str, kind: CauseKind) -> None:
        ticket = self._begin()
        try:
            raw = source.service(id_)
        except NotFound:
            self._apply(kind, ticket, lambda now: self.view.apply_absent(ticket, now, id_), read=(id_,))
            return
        try:
            tasks, unreadable = source.tasks(id_) if is_interlock_service(raw.labels) else ((), frozenset())
        except NotFound as error:
            self._look_again(source, id_, kind, error)
            return
        if unreadable:
            raise DockerRefused(f"Docker's reply for a task of service {id_} makes no sense")
        self._apply(kind, ticket, lambda now: self.view.apply_service(ticket, now, raw, tasks), read=(id_,))

    def _look_again(self, source: DockerSource, id_: str, kind: CauseKind, error: NotFound) -> None:
        """A service that went between the reads of itself and of its tasks; only a direct look says so."""
        ticket = self._begin()
        try:
            source.service(id_)
        except NotFound:
            self._apply(kind, ticket, lambda now: self.view.apply_absent(ticket, now, id_), read=(id_,))
        else:
            raise DockerRefused(f"{error}; the service {id_} is there, though") from error

    def _put_off(self, id_: str, error: DockerError, spent: float) -> None:
        with self.lock:
            news = id_ not in self._failing.reasons
            until = self._failing.failed(id_, self.clock.now(), spent=spent, why=str(error))
            self.view.postpone((id_,), until)
        if news:
            self._log.warning("a service cannot be read; its last state stays", id=id_, error=str(error))

    def _send_to_the_end(self, id_: str) -> None:
        # Else the same one would be asked first, and alone, for as long as this goes on.
        with self.lock:
            hint = self._hints.pop(id_, None)
            if hint is not None:
                self._hints[id_] = hint
            self.view.postpone((id_,), self.clock.now() + _RETRY)

    def _list_instead(self, ids: list[str], cost: float) -> None:
        self._listing_done.clear()
        self._listing_wanted.set()
        with self.lock:
            self.view.postpone(ids, self.clock.now() + max(settle.FASTEST, cost / _SETTLE_SHARE))
        self._listing_done.wait(max(_RETRY, 2 * cost))

    def _list(self, kind: CauseKind) -> bool:
        source = self._sources["listings"]
        ticket, began, began_at = self._begin(), time.monotonic(), self.clock.now()
        absent: list[str] = []

        def apply(now: float) -> Changes:
            changes, lacking = self.view.apply_listing(ticket, now, listing, began=began_at)
            absent.extend(lacking)
            self._tell_doubt()
            return changes

        try:
            listing = source.listing()
            self._apply(kind, ticket, apply, read=None)
            cost = time.monotonic() - began
            self._read_each(source, absent, kind)
        except DockerError as error:
            self._failed("listing", error)
            return False
        finally:
            self._listing_done.set()
        with self.lock:
            recovered = self.health.failing_since is not None
            withheld = self.view.withheld
            self.health.listed(self.clock.now(), cost, nodes_unknown=self.view.nodes_unknown)
            self._failing.forget_all_but({*self._hints, *self.view.unsettled})
        if recovered:
            self._log.info("Docker answers again", services=len(listing.services))
        if not withheld:
            self._sink.listed(ticket)
        return True

    def _tell_doubt(self) -> None:
        news, held = self.view.verdict.news, len(self.view.verdict.held)
        if news:
            self.health.count(f"doubts_{news}")
            self._log.warning(f"a loss that is implausible: doubt {news}", why=self.view.doubts.reason, held_back=held)

    def _apply(
        self, kind: CauseKind, ticket: int, apply: Callable[[float], Changes], *, read: Iterable[str] | None = ()
    ) -> None:
        """Apply a read; `read`: the services whose hints it answers, None for all."""
        now = self.clock.now()
        with self.lock:
            before = set(self.view.unreadable)
            changes = apply(now)
            for id_ in self.view.unreadable.keys() - before:
                why = self.view.unreadable[id_]
                self._log.warning("a service makes no sense; its last state stays", id=id_, why=why)
            trails = {id_: self._trail(kind, id_, ticket, change.docker_at) for id_, change in changes.items()}
            for id_ in read or ():
                self._failing.answered(id_)
            for id_ in [i for i in self._hints if self.view.believes(i)] if read is None else read:
                if id_ in self._hints and self._hints[id_].ticket < ticket:
                    del self._hints[id_]
            listing_wanted, self.view.listing_wanted = self.view.listing_wanted, False
        if listing_wanted:
            self._listing_wanted.set()
        if trails:
            self._sink.offer(trails)

    def _trail(self, kind: CauseKind, id_: str, ticket: int, docker_at: float | None) -> Trail:
        now = self.clock.dated()
        hint = self._hints.get(id_)
        if hint is not None and hint.ticket < ticket:
            return hint.trail.hop("seen", now)
        service = self.view.service(id_)
        return causes.seen(kind, id_, service.name if service else id_, ticket=ticket, now=now, docker_at=docker_at)

    def _look_at_the_clock(self) -> None:
        jump = self.clock.look()
        if jump is None:
            return
        with self.lock:
            self.health.clock_jumped(self.clock.now(), jump)
        self._listing_wanted.set()  # The machine may have been halted, and missed what happened.
        self._log.warning("the clock has jumped; nothing is withdrawn or hastened by it", seconds=round(jump, 3))
        self._apply("resync", self._begin(), lambda now: self.view.reckon(self.clock.offset, now))

    def _begin(self) -> int:
        with self.lock:
            self.health.count("reads")
            return self.view.begin()

    def _failed(self, what: str, error: DockerError) -> None:
        with self.lock:
            first = self.health.failing_since is None
            self.health.failed(self.clock.now(), str(error))
        if first:
            self._log.warning("Docker cannot be read; nothing is withdrawn", what=what, error=str(error))
