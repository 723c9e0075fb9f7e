"""The demo's story: a steady load, a scale-up and a rolling update by itself, then whatever the person does. Shell.

One thread: look, tell, move the story on, draw. The story is a generator that yields while it waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue

from interlock.errors import InterlockError
from interlock.model.problem import Problem
from interlock_demo import narration, scene
from interlock_demo.installation import SIMULATOR, Installation
from interlock_demo.load import Load
from interlock_demo.narration import Counted, Split, Tally
from interlock_demo.observer import Observer, Sight
from interlock_demo.screen import Screen, Traffic

TICK = 0.25
_WATCH_STEADY = 3.0
_BETWEEN = 2.0
_GIVE_UP = 40.0
_REPORT_EVERY = 0.5
_SCALED, _SCALED_TO = "shop", 4
_ROLLED = "blog"


class Show:
    """See the module. `heard`: lines that other threads have to say. `hints`: shown when the story is over."""

    def __init__(
        self,
        installation: Installation,
        observer: Observer,
        screen: Screen,
        *,
        loads: Sequence[Load],
        hints: Sequence[str],
        heard: SimpleQueue[str],
    ) -> None:
        self._installation = installation
        self._sim = installation.sim
        self._observer = observer
        self._screen = screen
        self._loads = loads
        self._hints = hints
        self._heard = heard
        self._sight = Sight()
        self._traffic = Traffic(rate=sum(load.rate for load in loads))
        self._reported_at = 0.0
        self._told: dict[str, Tally] = {}
        self._problems: frozenset[Problem] = frozenset()
        self._splits: list[Split] = []
        self._changes: list[str] = []
        self._begun_at = Counted()
        self._told_away = False
        self._telling = False
        self._story: Iterator[None] | None = self._tell_story()
        self._swarm = self._swarm_pid()

    def run(self, stop: threading.Event) -> None:
        """Shows until `stop`. Raises `InterlockError` when the leash is lost."""
        self._sight = self._observer.look()
        self._told = narration.tallies(self._sight.routes)
        while not stop.is_set():
            if self._installation.supervisor.lost.is_set():
                raise InterlockError("the leash of the demo was killed, so nothing can be kept running; start it again")
            self._look()
            self._move_on()
            self._mind_swarm()
            self._screen.show(self._sight, self._traffic, () if self._story else self._hints)
            stop.wait(TICK)

    # The story

    def _move_on(self) -> None:
        if self._story is None:
            return
        try:
            next(self._story)
        except StopIteration:
            self._story = None
        except InterlockError as error:
            self._screen.say(f"the story ends here: {error}", "yellow")
            self._story = None
        if self._story is None:
            self._telling = False

    def _tell_story(self) -> Iterator[None]:
        yield from self._pause(_WATCH_STEADY)
        scaled = f"{_SCALED} {scene.replicas(scene.known(self._sim, _SCALED))} → {_SCALED_TO}"
        yield from self._act(scaled, _SCALED, lambda: scene.scale(self._sim, _SCALED, _SCALED_TO))
        yield from self._pause(_BETWEEN)
        yield from self._act(f"{_ROLLED} rolled", _ROLLED, lambda: scene.roll(self._sim, _ROLLED))
        yield from self._pause(1.0)

    def _act(self, what: str, service: str, action: Callable[[], str]) -> Iterator[None]:
        """Does something to a service, waits until it is effective everywhere, and tells what it took."""
        self._telling = True
        self._splits, self._changes, before = [], [], self._traffic.counted
        self._screen.say(f"▸ {action()}", "bold")
        yield from self._until(lambda: self._effective(service), _GIVE_UP)
        self._report()
        self._screen.say(narration.effective(what, self._splits, self._counted(before)), "green")
        self._told, self._splits, self._changes = narration.tallies(self._sight.routes), [], []
        self._telling = False

    def _effective(self, service: str) -> bool:
        found = scene.known(self._sim, service)
        serving = narration.tallies(self._sight.routes).get(service, Tally()).serving
        return (
            self._sight.settled
            and len(serving) == scene.replicas(found)
            and not scene.updating(found)
            and serving == scene.running(self._sim, service)
        )

    def _until(self, condition: Callable[[], bool], timeout: float) -> Iterator[None]:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                self._screen.say(f"not settled within {timeout:.0f} s; see {self._installation.layout.logs}", "yellow")
                return
            yield

    def _pause(self, seconds: float) -> Iterator[None]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield

    # What happens

    def _look(self) -> None:
        try:
            while True:
                self._screen.say(self._heard.get_nowait(), "yellow")
        except Empty:
            pass
        self._sight = self._observer.look()
        self._splits += narration.applied(self._sight.news)
        self._changes += [o.reason for o in self._sight.news if o.result in narration.APPLIED and o.reason]
        if time.monotonic() - self._reported_at > _REPORT_EVERY:
            self._report()
        self._tell_away()
        self._tell_problems()
        if not self._telling:
            self._tell_changes()

    def _report(self) -> None:
        reports = [load.report() for load in self._loads]
        self._reported_at = time.monotonic()
        self._traffic = Traffic(
            rate=self._traffic.rate,
            counted=Counted(requests=sum(r.requests for r in reports), failed=sum(r.failed for r in reports)),
            retries=sum(r.proxy_retries for r in reports),
            p99=max((r.p99_ms for r in reports), default=0.0),
        )

    def _counted(self, before: Counted) -> Counted:
        """All requests as long as none has failed; then only those since, so that no change bears another's blame."""
        return self._traffic.counted.since(before) if before.failed else self._traffic.counted

    def _tell_away(self) -> None:
        away = bool(self._sight.away)
        if away and not self._told_away:
            self._screen.say(f"the bus cannot be asked: {self._sight.away}; nginx goes on with what it has", "yellow")
        elif self._told_away and not away:
            self._screen.say("the bus is back", "green")
        self._told_away = away

    def _tell_problems(self) -> None:
        if self._sight.away:
            return
        problems = frozenset(p for cluster in self._sight.clusters for p in cluster.problems)
        for problem in sorted(problems - self._problems):
            self._screen.say(f"{problem.severity}: {problem}", "red" if problem.severity == "error" else "yellow")
        for problem in sorted(self._problems - problems):
            self._screen.say(f"{problem.service}: {problem.key} is right again", "green")
        self._problems = problems

    def _tell_changes(self) -> None:
        """What a proxy has brought into effect since the last line, once it has."""
        if not self._splits and not self._changes:
            return
        tallies = narration.tallies(self._sight.routes)
        said = narration.changed(self._told, tallies)
        what = "; ".join(f"{name}, {text}" for name, text in said.items()) or "; ".join(dict.fromkeys(self._changes))
        self._report()
        self._screen.say(narration.effective(what, self._splits, self._counted(self._begun_at)))
        self._told, self._splits, self._changes = tallies, [], []
        self._begun_at = self._traffic.counted

    def _mind_swarm(self) -> None:
        """A simulator that was started again has forgotten its services."""
        pid = self._swarm_pid()
        if pid == self._swarm:
            return
        try:
            self._sim.call("GET", "/_ping")
            scene.set_up(self._sim)
        except InterlockError:
            return
        self._swarm = pid
        self._screen.say("the simulated Swarm had forgotten everything; its services are made again", "yellow")

    def _swarm_pid(self) -> int | None:
        program = self._installation.supervisor.program(SIMULATOR)
        return program.pid if program else None
