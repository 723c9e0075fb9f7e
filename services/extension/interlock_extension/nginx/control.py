"""The shell around one nginx: start or adopt it, reload it and prove the reload, bound what old workers hold.

A reload is quicker here than nginx's own: the master waits 100 ms before it tells old workers to leave; we tell them as
soon as all new ones are ready. After that, a file in their working directory makes requests that still come to old
workers (on connections that were idle, or had not sent anything yet) go on to the newest generation.
Not for several threads.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from interlock.errors import ConfigRejected, NotInPlace, ProxyUnavailable
from interlock.runtime.logging import get_logger
from interlock.runtime.parts import Part
from interlock.runtime.process import Identity, Process
from interlock_extension.machine import processes
from interlock_extension.machine.ending import end, wait
from interlock_extension.machine.generations import Bounds
from interlock_extension.machine.place import Place
from interlock_extension.nginx import family
from interlock_extension.nginx.aside import Aside
from interlock_extension.nginx.complaints import Complaints
from interlock_extension.nginx.ending import end_detached
from interlock_extension.nginx.markers import ANNOUNCED, Markers
from interlock_extension.nginx.refusal import Refusal
from interlock_extension.nginx.render import (
    GENERATION,
    HANDOVER_SOCKET,
    MAIN,
    STATUS_SOCKET,
    WORKPLACE,
    NginxRenderer,
    generation_in,
)
from interlock_extension.nginx.retired import Retired
from interlock_extension.nginx.status import ask, figures
from interlock_extension.port import Change, Kind, Proof, Started

APPLY_TIMEOUT = 60.0
"""Seconds that nginx may take to load; 10,000 server blocks take about five."""

_PATIENCE = 1.5
_PATIENCE_A_FILE = 0.001
"""Seconds without any new worker until nginx is asked aside what is wrong; 10,000 files take four to be read."""

_STEP = 0.001
_ORPHAN_TIMEOUT = 1.0
_ANSWER_TIMEOUT = 5.0
_WRITTEN_TIMEOUT = 0.5
_QUIT_TIMEOUT = 3.0
_MOST_COMING = 8
_OF_GENERATION = (GENERATION, WORKPLACE)
_VERSION_PATH = "/interlock/version"


class NginxControl:
    """One nginx in one folder. See `interlock_extension.port.Control`.

    `grace`: seconds that an old worker keeps idle connections at most (`keepalive_min_timeout`). `aside`: where nginx
    reads what it is not to run. `at_end`: called when nginx has been stopped, not when it is left.
    """

    def __init__(
        self,
        part: Part,
        folder: Path,
        renderer: NginxRenderer,
        *,
        workers: int,
        grace: float,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.time,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._part = part
        self._place = Place(folder, folders=("hosts", "tmp", ANNOUNCED), kept=("*.conf", "hosts/*.conf"))
        self._complaints = Complaints(part, self._place.folder)
        self._renderer = renderer
        self.aside = Aside(self._place.folder / "check", self._complaints, renderer)
        self._markers = Markers(self._place.folder)
        self._workers = workers
        self._grace = grace
        self._retired = Retired(self._markers, bounds or Bounds())
        self._clock = clock
        self._at_end = at_end
        self._log = get_logger(service="extension", proxy="nginx")
        self._process: Process | None = None
        self._master: Identity | None = None
        self._listeners: set[int] = set()
        self._known: list[int] = []
        self._generation = ""
        self._coming: list[str] = []
        self._totals = {"reloads": 0.0, "starts": 0.0}

    @property
    def pid(self) -> int | None:
        """The master's process id, None when it does not run."""
        return self._master.pid if self._master and self.alive() else None

    def installed(self) -> dict[str, bytes]:
        """See `Control.installed`."""
        return {name: data for name, data in self._place.content.items() if name not in _OF_GENERATION}

    def alive(self) -> bool:
        """See `Control.alive`."""
        return self._master is not None and self._master.alive()

    def witness(self) -> tuple[str, tuple[str, ...]] | None:
        """See `Control.witness`."""
        may_run = tuple(filter(None, (self._generation, *self._coming)))
        return (str(self._place.folder / STATUS_SOCKET), may_run) if self._master else None

    # Starting

    def start(self, files: Mapping[str, bytes]) -> Started:
        """See `Control.start`."""
        self._place.open()
        running = family.master_of(self._place.folder)
        if running is not None and self._adopt(running):
            return "adopted"
        if self._process is not None:
            # It has ended; its exit status is to be fetched.
            self._process.wait(_ORPHAN_TIMEOUT)
            self._process = None
        self._end_orphans()
        stale = {name: None for name in self.installed() if name not in files}
        self._place.write({**stale, **files})
        self._launch("start")
        return "started"

    def _adopt(self, running: Identity) -> bool:
        generation = self._answer(running)
        if not generation:
            if running.alive():
                self._log.error("the running nginx does not answer: another is started", pid=running.pid)
                # A new one could not listen beside it. Asked to quit, it finishes the requests in flight.
                end(running, (signal.SIGQUIT, _QUIT_TIMEOUT), (signal.SIGTERM, _ORPHAN_TIMEOUT))
            return False
        self._settle(running, generation)
        if not self._is_written(generation):
            # A worker died between writing and reloading; what lies there has never been proven.
            self._log.warning("the running nginx does not run what is in its folder", folder=str(self._place.folder))
            self._place.content = dict.fromkeys(self._place.content, b"")
        # Also those of a worker that died between a reload and its end.
        with contextlib.suppress(ProxyUnavailable):
            self._markers.announce(generation)
        self._markers.outdate_others(generation)
        return True

    def _answer(self, running: Identity) -> str:
        """The generation that answers; empty when none does. A busy machine is no reason to end a proxy."""
        deadline = time.monotonic() + _ANSWER_TIMEOUT
        settled = 0.0
        while running.alive():
            now = time.monotonic()
            generation = (ask(self._place.folder, _VERSION_PATH) or "").partition(" ")[0]
            # A reload may be under way.
            settled = settled or (now + _WRITTEN_TIMEOUT if generation else 0.0)
            if self._is_written(generation) or (generation and now > settled) or now > deadline:
                return generation
            time.sleep(10 * _STEP)
        return ""

    def _is_written(self, generation: str) -> bool:
        written = self._place.content.get(GENERATION, b"").decode(errors="replace")
        return bool(generation) and f"{generation} " in written

    def _launch(self, note: str) -> None:
        for name in (STATUS_SOCKET, HANDOVER_SOCKET):
            (self._place.folder / name).unlink(missing_ok=True)
        self._markers.clear_all()
        generation = self._write_or_find_generation(note)
        self._totals["starts"] += 1
        mark = self._complaints.mark()
        process = Process.start(
            [str(self._part.path), "-p", str(self._place.folder), "-c", MAIN],
            name="nginx", cwd=self._place.folder, stdout=1, stderr=2, die_with_parent=False,
        )  # fmt: skip
        deadline = time.monotonic() + APPLY_TIMEOUT
        while not self._answers_by(process.pid, generation):
            if not process.alive():
                end_detached(self._place.folder, process.returncode)
                self._complaints.explain_start(mark)
            if time.monotonic() > deadline:
                process.stop(1.0)
                raise ProxyUnavailable(f"nginx did not answer within {APPLY_TIMEOUT:g} s after its start")
            time.sleep(_STEP)
        identity = process.identity()
        if identity is None:
            end_detached(self._place.folder, process.returncode)
            raise ProxyUnavailable("nginx ended right after its start; see its error log")
        self._process = process
        self._place.proven()
        self._settle(identity, generation)

    def _answers_by(self, master: int, generation: str) -> bool:
        # One that detaches itself may answer by another's workers before the process that was started is gone.
        return any(map(family.is_worker, processes.children(master))) and (
            ask(self._place.folder, _VERSION_PATH) or ""
        ).startswith(generation)

    def _settle(self, master: Identity, generation: str) -> None:
        self._master = master
        self._generation = generation
        self._coming.clear()
        self._listeners = processes.listeners_of(master.pid)
        self._known = processes.children(master.pid)
        self._retired.forget()

    def _end_orphans(self) -> None:
        left = [identity for pid in self._known if (identity := Identity.of(pid)) and family.is_worker(pid)]
        left += [identity for identity in family.orphans_of(self._place.folder) if identity not in left]
        for identity in left:
            # QUIT closes the listening sockets at once and lets requests in flight finish.
            identity.send_signal(signal.SIGQUIT)
        if not wait(lambda: not any(processes.title(i.pid) == family.WORKER for i in left), _ORPHAN_TIMEOUT):
            for identity in left:
                identity.send_signal(signal.SIGKILL)
            wait(lambda: not any(identity.alive() for identity in left), _ORPHAN_TIMEOUT)

    # Applying

    @property
    def in_place(self) -> frozenset[Kind]:
        """See `Control.in_place`: nginx reads whatever changes from its files."""
        return frozenset()

    def apply_delta(self, change: Change, note: str) -> Proof:  # noqa: ARG002  # the port's signature
        """See `Control.apply_delta`. Raises `NotInPlace`, always."""
        raise NotInPlace("nginx takes no change without a reload", what="nginx")

    def apply_snapshot(self, files: Mapping[str, bytes | None], note: str) -> Proof:
        """See `Control.apply_snapshot`. The culprit of a `ConfigRejected` is a file name."""
        began = self._clock()
        master = self._master
        if master is None or not master.alive():
            raise ProxyUnavailable("nginx does not run")
        # First, so that whoever dies from here on leaves a generation which nobody runs, and the rest is not trusted.
        generation = self._write_generation(note)
        self._place.write(files)
        mark = self._complaints.mark()
        self._coming = [*self._coming, generation][-_MOST_COMING:]
        # Whatever is there and does not leave, also one that was started just now and has no title of its own yet: it
        # would be taken for a new one.
        old = [pid for pid in processes.children(master.pid) if processes.title(pid) not in {"", family.LEAVING}]
        try:
            ready_at = self._reload(master, old, mark)
        except ConfigRejected:
            self._coming.remove(generation)
            self._markers.withdraw(generation)
            self._place.restore()
            raise
        self._retire(old)
        self._generation = generation
        effective_at = self._prove(master, generation, old)
        self._place.proven()
        self._coming.clear()
        let_go_at = self._let_go(generation, effective_at)
        self._known = processes.children(master.pid)
        self._totals["reloads"] += 1
        detail = f"ready {1000 * (ready_at - began):.0f} ms, proven {1000 * (effective_at - began):.0f} ms"
        return Proof(applying_at=began, effective_at=effective_at, let_go_at=let_go_at, detail=detail)

    def _write_or_find_generation(self, note: str) -> str:
        """Where nothing can be written: that of the files that lie there. Raises `ProxyUnavailable`."""
        try:
            return self._write_generation(note)
        except ProxyUnavailable as error:
            generation = generation_in(self._place.content)
            if not generation:
                raise
            self._markers.announce(generation)
            self._log.error("nothing can be written: nginx is started from the files that are there", why=str(error))
            return generation

    def _write_generation(self, note: str) -> str:
        generation = secrets.token_hex(4)
        workplace = str(self._markers.announce(generation))
        self._place.write(self._renderer.generation(workplace, f"{generation} {note}"))
        return generation

    def _reload(self, master: Identity, old: list[int], mark: int) -> float:
        """Until every new worker is ready. Raises `ConfigRejected`, `ProxyUnavailable`."""
        if not master.send_signal(signal.SIGHUP):
            raise ProxyUnavailable("nginx ended before it could be reloaded")
        began = time.monotonic()
        patience = _PATIENCE + _PATIENCE_A_FILE * len(self._place.content)
        ask_at = began + patience
        while True:
            # A worker takes this title when it is about to enter its event loop.
            fresh = [pid for pid in processes.children(master.pid) if pid not in old and family.is_worker(pid)]
            if sum(map(family.is_ready, fresh)) >= self._workers:
                return self._clock()
            refusal = self._complaints.since(mark)
            if refusal is None and not fresh and time.monotonic() > ask_at:
                refusal = self._ask_aside(master, old)
                patience *= 2
                ask_at = time.monotonic() + patience
            if refusal is not None:
                self._complaints.reject(refusal)
            if not master.alive():
                raise ProxyUnavailable("nginx ended while it was reloaded")
            if time.monotonic() > began + APPLY_TIMEOUT:
                raise ProxyUnavailable(f"nginx did not start new workers within {APPLY_TIMEOUT:g} s")
            time.sleep(_STEP)

    def _ask_aside(self, master: Identity, old: list[int]) -> Refusal | None:
        # Not every refusal is of the level that the log of refusals holds; a slow load is none.
        refusal = self._complaints.test()
        come = any(pid not in old and family.is_worker(pid) for pid in processes.children(master.pid))
        return None if come else refusal

    def _retire(self, old: list[int]) -> None:
        self._retired.add(old, self._generation)
        for pid in old:
            identity = Identity.of(pid)
            if identity is not None:
                # Where we may not signal it, the master does so 100 ms after the start of the new ones.
                with contextlib.suppress(PermissionError):
                    identity.send_signal(signal.SIGQUIT)

    def _prove(self, master: Identity, generation: str, old: list[int]) -> float:
        """The time from which no old worker accepts and the new configuration answers."""
        deadline = time.monotonic() + APPLY_TIMEOUT
        while any(family.accepts(pid, self._listeners) for pid in old):
            self._still(master, deadline, "an old worker of nginx still accepts connections")
        at = self._clock()
        while not (ask(self._place.folder, _VERSION_PATH) or "").startswith(generation):
            self._still(master, deadline, "nginx does not answer with the new configuration")
            at = self._clock()
        return at

    def _still(self, master: Identity, deadline: float, what: str) -> None:
        if not master.alive():
            raise ProxyUnavailable("nginx ended while it was reloaded")
        if time.monotonic() > deadline:
            raise ProxyUnavailable(f"{what} after {APPLY_TIMEOUT:g} s")
        time.sleep(_STEP)

    def _let_go(self, generation: str, effective_at: float) -> float:
        """From when no older generation sends requests to what is left out."""
        wrong = self._markers.outdate_others(generation)
        if wrong is None:
            return self._clock()
        self._log.error("old workers cannot be told to hand requests over; they end by themselves", error=wrong)
        return effective_at + self._grace

    def probe(self) -> bool | None:
        """See `Control.probe`."""
        said = ask(self._place.folder, _VERSION_PATH)
        return None if said is None else said.startswith(f"{self._generation} ")

    def check(self, hosts: Mapping[str, bytes]) -> None:
        """See `Control.check`."""
        self.aside.check(hosts)

    # Tending and ending

    def tend(self) -> dict[str, float]:
        """See `Control.tend`."""
        self._known = processes.children(self._master.pid) if self._master else []
        number, held = self._retired.tend(self._known)
        totals = {**self._totals, "old_workers_ended": float(self._retired.ended)}
        old = {"old_workers": float(number), "old_bytes": float(held)}
        return {**totals, **old, **figures(self._place.folder)}

    def stop(self, timeout: float) -> None:
        """See `Control.stop`."""
        master, self._master = self._master, None
        if master is not None:
            self._stop(master, timeout)
        self._at_end()

    def _stop(self, master: Identity, timeout: float) -> None:
        if not master.alive():
            # It died before; its workers do not end by themselves.
            self._end_orphans()
        if not end(master, (signal.SIGQUIT, timeout), (signal.SIGTERM, _ORPHAN_TIMEOUT)):
            self._end_orphans()
        if self._process is not None:
            self._process.wait(_ORPHAN_TIMEOUT)
            self._process = None

    def leave(self) -> None:
        """See `Control.leave`."""
        if self._process is not None:
            self._process.release()
        self._process = self._master = None
