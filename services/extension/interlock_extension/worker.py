"""The loop beside one proxy: news of the plan and of endpoints in, one proven apply at a time, outcomes out.

The first change acts at once; what arrives while an apply runs is folded into the next. Only this thread touches the
proxy. Built by `app`; pure decisions are in `desired`, `admission`, `rollout`, `drains` and
`confirm.verdict`; what is said of the proxy is in `report`.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable

from interlock.errors import ConfigRejected, InterlockError, NotInPlace, ProxyUnavailable
from interlock.model.outcome import Result
from interlock.model.version import Version
from interlock.runtime.logging import get_logger
from interlock.wire.trail import Cause, Trail
from interlock_extension.admission import Key, key_of
from interlock_extension.bring import Applied, bring
from interlock_extension.change import Draft, Drafting
from interlock_extension.confirm.desk import Desk
from interlock_extension.confirm.loop import Confirmer
from interlock_extension.confirm.verdict import Ruling
from interlock_extension.delivery.files import LastGood
from interlock_extension.desired import Desired
from interlock_extension.drains import Ledger
from interlock_extension.events import Event, Probed, Stalled
from interlock_extension.herald import Herald
from interlock_extension.intake import Change, Intake, Lost, News, Watched
from interlock_extension.isolation import Isolation
from interlock_extension.meters import Meters
from interlock_extension.pace import Pace
from interlock_extension.patience import FIRST_RESULTS, FIRST_RESULTS_OF_ALL, Patience
from interlock_extension.port import Control, HostView, Renderer
from interlock_extension.report import Report
from interlock_extension.silence import Silence

_TICK = 0.05
_TEND = 1.0


class Worker:
    """One extension worker. `tell` may be called from any thread; everything else belongs to `run`'s.

    `stop_timeout`: seconds for requests in flight when the proxy is stopped with us; None leaves it running.
    """

    def __init__(
        self,
        *,
        renderer: Renderer,
        control: Control,
        last_good: LastGood,
        herald: Herald,
        meters: Meters,
        watch: Callable[[frozenset[Key]], None],
        forget: Callable[[frozenset[Key]], None],
        ledger: Ledger,
        confirmer: Confirmer | None = None,
        keep: Callable[[], None],
        stop_timeout: float | None = 3.0,
    ) -> None:
        self._control = control
        self._last_good = last_good
        self._meters = meters
        self._watch = watch
        self._forget = forget
        self._ledger = ledger
        self._keep = keep
        self._stop_timeout = stop_timeout
        self._desired = Desired()
        self._intake = Intake(self._desired)
        self._drafting = Drafting(self._desired, renderer, control.in_place)
        self._isolation = Isolation(self._drafting, renderer, control, meters, self._live)
        self._desk = Desk(self._desired, confirmer)
        self._silence = Silence(self._desired)
        self._report = Report(
            herald=herald,
            meters=meters,
            desired=self._desired,
            intake=self._intake,
            drafting=self._drafting,
            ledger=ledger,
            desk=self._desk,
        )
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._dirty: set[str] = set()
        self._trail: Trail | None = None
        self._moved = False
        self._came_with: dict[Key, Trail] = {}
        self._patience = Patience()
        self._suspect: set[str] = set()
        self._running = False
        self._known_plan = False
        self._pace = Pace()
        self._effective: Version | None = None
        self._tend_at = 0.0
        self.alive_at = time.monotonic()
        self._log = get_logger(service="extension")

    def _live(self) -> None:
        self.alive_at = time.monotonic()

    def tell(self, event: Event) -> None:
        """Hand over a piece of news."""
        self._events.put(event)

    def probed(self, key: Key, accepted: bool) -> None:
        """For the prober."""
        self.tell(Probed(key=key, accepted=accepted, at=time.time()))

    def stalled(self, peers: frozenset[tuple[str, int]]) -> None:
        """For who looks at the kernel's connections."""
        self.tell(Stalled(peers=peers))

    def run(self, stop: threading.Event) -> None:
        """The loop: until stop."""
        try:
            self._begin()
            while not stop.is_set():
                self._live()
                self._gather()
                doubtful = self._intake.doubtful or not self._known_plan
                self._dirty |= self._desk.tend(stale=doubtful, now=time.monotonic())
                self._keep_running()
                if self._running and time.monotonic() >= self._due_at():
                    self._bring_into_effect()
        except BaseException:
            # The proxy outlives our mistakes; the next worker adopts it.
            self._control.leave()
            raise
        if self._stop_timeout is None:
            self._control.leave()
        else:
            self._control.stop(timeout=self._stop_timeout)

    # Beginning

    def _begin(self) -> None:
        kept = self._last_good.read()
        hosts = {host: view.host for host, view in kept.views.items()}
        upstreams = {u.name: u for view in kept.views.values() for u in view.upstreams}
        self._intake.restore(hosts, upstreams, kept.version)
        self._effective = kept.version
        if kept.version is not None:
            self._intake.lose(time.time(), "the plan has not been read yet")
        views = self._confirmed(kept.views)
        self._drafting.begin(views)
        self._take_stock(self._desired.served)
        self._report.say("starting", "; ".join(kept.problems))
        self._keep_running()

    def _confirmed(self, views: dict[str, HostView]) -> dict[str, HostView]:
        """What was last good without the addresses that became another's while we were away."""
        touched = self._desk.before_start()
        # A proxy that still runs has them.
        self._dirty |= touched
        found = {host: self._desired.view(host) if host in touched else view for host, view in views.items()}
        return {host: view for host, view in found.items() if view}

    def _keep_running(self) -> None:
        now = time.monotonic()
        if self._running and not self._control.alive():
            self._running = False
            self._meters.restarts.inc()
            self._log.error("the proxy died; it is started again")
        if not self._running and now >= self._pace.again_at:
            self._start_proxy(now)
        if self._running and now >= self._tend_at:
            self._tend_at = now + _TEND
            self._keep()
            self._dirty |= self._silence.due(now) | self._drafting.acquit(now)
            self._report.gauges = self._control.tend()
            self._look_for_drift()
            self._report.look_for_unreachable()
            self._report.refresh()

    def _start_proxy(self, now: float) -> None:
        try:
            how = self._control.start(self._drafting.all_files())
        except ConfigRejected as error:
            dropped = self._drafting.drop(error.culprit)
            if dropped is None:
                self._wait_and_say(now, error)
            else:
                host, view = dropped
                self._ledger.settle({host: (view, None)}, time.time(), self._desired.draining_since)
                self._desired.refuse(host, str(error), view.host if view else None)
                self._dirty.add(host)
            return
        except InterlockError as error:
            self._wait_and_say(now, error)
            return
        self._running = True
        self._pace.started()
        # Only with the plan: what runs may be newer than last good.
        suspect = self._drafting.installed(self._control.installed())
        self._take_stock(suspect)
        if self._known_plan:
            self._dirty |= suspect
        else:
            self._suspect |= suspect
        self._log.info("the proxy runs", how=how, hosts=len(self._desired.served), version=str(self._intake.version))
        if self._desired.served or self._known_plan:
            self._report.say("unchanged" if how == "adopted" else "reloaded", f"the proxy was {how}")

    def _take_stock(self, hosts: Iterable[str]) -> None:
        served = self._desired.served
        self._ledger.settle({host: (None, served[host]) for host in hosts if host in served}, 0.0, lambda _: None)

    def _look_for_drift(self) -> None:
        try:
            if self._control.probe() is not False:
                return
            self._log.error("the proxy runs something else than it was given; it is given all of it anew")
            self._drafting.distrust()
        except NotInPlace as error:
            self._drafting.distrust(str(error), error.what)
        self._moved = True

    def _wait_and_say(self, now: float, error: InterlockError) -> None:
        self._pace.failed(now)
        self._log.error("the proxy does not run", error=str(error))
        self._report.say("starting", str(error))

    # News

    def _gather(self) -> None:
        timeout = min(_TICK, max(0.0, self._due_at() - time.monotonic())) if self._running else _TICK
        try:
            self._absorb(self._events.get(timeout=timeout) if timeout else self._events.get_nowait())
            while True:
                self._absorb(self._events.get_nowait())
        except queue.Empty:
            return

    def _absorb(self, event: Event) -> None:
        match event:
            case Lost():
                news = self._intake.stale_since is None
                self._intake.lose(event.at, event.reason)
                if news:
                    self._report.refresh(news=True)
            case News():
                change = self._intake.take(event)
                if change is None:
                    self._report.refresh(news=True)
                else:
                    self._absorb_change(change)
            case Watched():
                self._intake.unwatched = event.why
            case Probed():
                self._absorb_probe(event)
            case Ruling():
                self._absorb_ruling(event)
            case Stalled():
                if new := self._silence.stalled(event.peers):
                    self._watch(new)

    def _absorb_change(self, change: Change) -> None:
        self._known_plan = True
        touched = change.touched
        for endpoint in self._desired.draining(touched.hosts):
            self._ledger.note(key_of(endpoint), endpoint.draining_since)
        # Also what was restored from disk but never admitted in this life must be found again.
        fresh = self._desired.unadmitted() if change.whole else touched.fresh
        if touched.gone:
            self._forget(touched.gone)
            self._patience.forget(touched.gone)
            self._silence.forget(touched.gone)
            for key in touched.gone:
                self._came_with.pop(key, None)
        new = self._patience.hand_over(fresh, time.monotonic(), FIRST_RESULTS_OF_ALL if change.whole else FIRST_RESULTS)
        if new:
            self._came_with.update(dict.fromkeys(new, change.trail))
            self._watch(new)
        self._desk.changed()
        self._dirty |= touched.hosts
        if change.whole:
            self._dirty |= self._suspect
            self._suspect.clear()
        self._hurry(self._dirty if change.whole else touched.hosts)
        self._trail = self._trail.merge(change.trail) if self._trail else change.trail
        # Even a change that touches nothing here moves the version on.
        self._moved = True

    def _hurry(self, hosts: Iterable[str]) -> None:
        """Removals do not wait for probes; but where nobody would be left, the next may answer within a moment."""
        left = self._desired.lets_go(hosts)
        if left != "nothing":
            self._patience.hurry(time.monotonic(), FIRST_RESULTS if left == "all" else 0.0)

    def _absorb_probe(self, event: Probed) -> None:
        self._patience.tried(event.key, accepted=event.accepted)
        hosts = self._silence.tried(event.key, accepted=event.accepted, now=time.monotonic())
        if hosts:
            answers = "answers again" if event.accepted else "does not answer any more"
            self._log.warning(f"an endpoint {answers}", address=event.key.address, task=event.key.task)
        came_with = None
        if event.accepted:
            hosts |= self._desired.accept(event.key)
            came_with = self._came_with.pop(event.key, None)
        if not hosts:
            return
        self._dirty |= hosts
        self._hurry(hosts)
        trail = came_with or Trail(
            causes=(Cause(id=f"probe-{event.key.task}-{event.at:.3f}", kind="probe", what=event.key.task, at=event.at),)
        )
        self._trail = self._trail.merge(trail) if self._trail else trail

    def _absorb_ruling(self, ruling: Ruling) -> None:
        hosts = self._desk.rule(ruling)
        if not hosts:
            return
        self._dirty |= hosts
        self._hurry(hosts)
        at = time.time()
        what = f"{len(ruling.deny)} denied, {len(ruling.allow)} allowed again"
        trail = Trail(causes=(Cause(id=f"dns-{at:.3f}", kind="dns", what=what, at=at),))
        self._trail = self._trail.merge(trail) if self._trail else trail

    def _due_at(self) -> float:
        """The monotonic time from which there is something to apply; infinite while there is nothing."""
        if not self._dirty and not self._moved:
            return math.inf
        return max(self._pace.again_at, self._patience.until)

    # Acting

    def _bring_into_effect(self) -> None:
        dirty, self._dirty = self._dirty, set()
        trail, self._trail = self._trail or Trail(), None
        self._moved = False
        version = self._intake.version
        draft = self._drafting.draft(dirty)
        if draft.rollout.action == "unchanged":
            self._settle(draft, None, version, trail)
            return
        try:
            applied = bring(self._control, draft, _note(version))
        except ConfigRejected as error:
            isolated = self._isolation.refused(draft, error)
            self._pace.refused(time.monotonic(), isolated=isolated)
            if not isolated:
                self._report.say("rejected", str(error))
            self._again(dirty, trail)
        except ProxyUnavailable as error:
            self._drafting.doubt(draft)
            self._log.error("not proven", error=str(error))
            self._report.say("rejected", f"not in effect: {error}")
            self._running = self._control.alive()
            if self._running:
                self._pace.failed(time.monotonic())
            self._again(dirty, trail)
        else:
            self._settle(draft, applied, version, trail)

    def _again(self, dirty: set[str], trail: Trail) -> None:
        self._dirty |= dirty
        self._trail = trail.merge(self._trail) if self._trail else trail
        self._moved = True

    def _settle(self, draft: Draft, applied: Applied | None, version: Version | None, trail: Trail) -> None:
        now = time.time()
        proof = applied.proof if applied else None
        let_go_at = proof.let_go_at if proof else now
        self._pace.settled()
        self._drafting.accept(draft)
        overdue = self._drafting.overdue
        self._effective = self._effective if overdue else version
        drains = self._ledger.settle(draft.changes, let_go_at, self._desired.draining_since)
        self._report.drained(drains)
        trail = trail.hop("applying", proof.applying_at if proof else now)
        trail = trail.hop("effective", proof.effective_at if proof else now)
        self._meters.applied(draft, applied, drains)
        result: Result = applied.result if applied else "unchanged"
        reason = applied.reason if applied else draft.rollout.reason
        if overdue:
            result, reason = "rejected", f"not in effect: {', '.join(overdue)} cannot be changed; {reason}".rstrip("; ")
        self._report.say(result, reason, version=self._effective, trail=trail, effective_at=trail.hops["effective"])
        self._last_good.write(draft.views, self._effective)
        if proof:
            self._log.info("effective", version=str(version), result=result, why=reason, took=proof.detail)


def _note(version: Version | None) -> str:
    return f"{version.generation} {version.seq} {version.nonce}" if version else "none"
