"""The shell around one HAProxy: change it while it runs, reload it where that does not do, and prove either.

What runs is the files as they were read last, and the runtime commands since. `delta.Running` knows the difference, and
is kept in the folder, so that the next worker goes on where this one ended. Each reload begins a new process; an old
one ends with its connections, and hands every request that still comes to it to the newest. Not for several threads.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from interlock.errors import NotInPlace, ProxyUnavailable
from interlock.runtime.logging import get_logger
from interlock.runtime.parts import Part
from interlock.runtime.process import Identity, Process
from interlock_extension.haproxy import delta, family, reply
from interlock_extension.haproxy.complaints import refusal_aside, refusal_in, rejected, start_complaint
from interlock_extension.haproxy.delta import Command, Running
from interlock_extension.haproxy.kept import Kept
from interlock_extension.haproxy.made import Made
from interlock_extension.haproxy.master import APPLY_TIMEOUT, Reloads
from interlock_extension.haproxy.old import OldWorkers
from interlock_extension.haproxy.render import HOSTS, MAIN, PAGE, STATUS_SOCKET, HaproxyRenderer
from interlock_extension.haproxy.routes import FOLDER, NOTHING, Served
from interlock_extension.haproxy.runtime import MASTER_SOCKET, Runtime
from interlock_extension.haproxy.sockets import Sockets, numbered
from interlock_extension.machine.ending import end, wait
from interlock_extension.machine.generations import Bounds
from interlock_extension.machine.place import Place
from interlock_extension.port import Change, HostView, Kind, Proof, Started

IN_PLACE: frozenset[Kind] = frozenset({"endpoints", "routes"})

_STEP = 0.001
_ANSWER_TIMEOUT = 5.0
_ENDS = 1.0
_FINISHES = 3.0
_QUIET = 2.0
_LONGEST = 10.0
"""Seconds without a change until the maps are written as they run; seconds that they wait at most."""

_MOST_COMING = 8

_MOST_DELETED = 256
"""Servers to be deleted at a time: each one is asked for."""


class HaproxyControl:
    """One HAProxy in one folder. See `interlock_extension.port.Control`. `at_end`: called when it has been stopped."""

    def __init__(
        self,
        part: Part,
        folder: Path,
        renderer: HaproxyRenderer,
        *,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.time,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._part = part
        self._renderer = renderer
        self._place = Place(folder, folders=(HOSTS, FOLDER), kept=(MAIN, PAGE, f"{HOSTS}/*.cfg"))
        self._folder = self._place.folder
        self._runtime = Runtime(self._folder)
        self._kept = Kept(self._folder)
        self._made = Made(self._place)
        self._old = OldWorkers(bounds or Bounds())
        self._clock = clock
        self._at_end = at_end
        self._log = get_logger(service="extension", proxy="haproxy")
        self._process: Process | None = None
        self._master: Identity | None = None
        self._generation = ""
        self._coming: tuple[str, ...] = ()
        self._running: Running | None = None
        self._unwritten: tuple[float, float] | None = None
        self._tried_last = ("", "")
        self._reloads = Reloads(self._runtime, self._old, clock)
        self._sockets = Sockets(self._folder)
        self._totals = {"reloads": 0.0, "starts": 0.0, "updates": 0.0}

    @property
    def pid(self) -> int | None:
        """The master's process id, None when it does not run."""
        return self._master.pid if self._master and self.alive() else None

    def installed(self) -> dict[str, bytes]:
        """See `Control.installed`."""
        # Names of sockets are no news to whoever renders.
        return {name: numbered(data, {}) if name == MAIN else data for name, data in self._place.content.items()}

    def alive(self) -> bool:
        """See `Control.alive`."""
        return self._master is not None and self._master.alive()

    def witness(self) -> tuple[str, tuple[str, ...]] | None:
        """See `Control.witness`."""
        # Asked by another thread: what is coming first, which becomes the generation.
        coming = self._coming
        may_run = tuple(filter(None, (self._generation, *coming)))
        return (str(self._folder / STATUS_SOCKET), may_run) if self._master else None

    # Starting

    def start(self, files: Mapping[str, bytes]) -> Started:
        """See `Control.start`."""
        self._place.open()
        self._sockets.read()
        running = family.master_of(self._folder)
        if running is not None and self._adopt(running):
            return "adopted"
        if self._process is not None:
            # It has ended; its exit status is to be fetched.
            self._process.wait(_ENDS)
            self._process = None
        for identity in family.everyone_of(self._folder):
            # One that does not answer may still be finishing requests.
            end(identity, (signal.SIGUSR1, _FINISHES), (signal.SIGTERM, _ENDS))
        stale = {name: None for name in self.installed() if name not in files}
        self._sockets.rename(())
        self._place.write({**stale, **self._bound(files)})
        self._launch("start")
        return "started"

    def _adopt(self, running: Identity) -> bool:
        # A reload may be under way.
        if not wait(lambda: bool(self._tells() or self._gone()) or not running.alive(), _ANSWER_TIMEOUT):
            self._log.error("the running HAProxy does not answer: another is started", pid=running.pid)
        generation = self._tells() if running.alive() else ""
        if not generation and not (running.alive() and self._gone()):
            return False
        kept = self._kept.read(generation, self._place.content)
        if kept is None:
            # A worker died between writing and proving; what lies there has never been proven.
            self._log.warning("the running HAProxy does not run what is in its folder", folder=str(self._folder))
            self._place.content = dict.fromkeys(self._place.content, b"")
        self._settle(running, generation, kept)
        # Also those of a worker that died between a reload and its end.
        with contextlib.suppress(ProxyUnavailable):
            self._reloads.let_go(running)
        return True

    def _launch(self, note: str) -> None:
        generation, running = self._made.write_or_find(self._next(), note)
        self._next(generation)
        self._totals["starts"] += 1
        master = f"unix@{MASTER_SOCKET},mode,600"
        process = Process.start(
            family.command(self._part.path, "-S", master), name="haproxy",
            cwd=self._folder, stdout=1, stderr=2, die_with_parent=False,
        )  # fmt: skip
        deadline = time.monotonic() + APPLY_TIMEOUT
        # A signal that comes before the master listens at its socket is lost.
        while not (self._answers(generation) and self._runtime.workers()):
            if not process.alive():
                self._explain()
                why = start_complaint(self._part, self._folder) or "start it by hand in its folder to see why"
                raise ProxyUnavailable(f"HAProxy takes its files but ended right after its start: {why}")
            if time.monotonic() > deadline:
                process.stop(_ENDS)
                raise ProxyUnavailable(f"HAProxy did not answer within {APPLY_TIMEOUT:g} s after its start")
            time.sleep(_STEP)
        identity = process.identity()
        if identity is None:
            raise ProxyUnavailable("HAProxy ended right after its start")
        self._process = process
        self._place.proven()
        self._settle(identity, generation, running)

    def _settle(self, master: Identity, generation: str, running: Running | None) -> None:
        self._master, self._generation, self._running = master, generation, running
        self._coming, self._unwritten = (), None
        if running is None:
            return
        try:
            self._kept.write(generation, running)
        except ProxyUnavailable as error:
            # It runs as it should. Whoever adopts it will reload it.
            self._log.error("what HAProxy runs cannot be kept for the next worker", error=str(error))

    def _next(self, generation: str = "") -> str:
        """A generation, a new one by default, that runs soon."""
        generation = generation or secrets.token_hex(4)
        self._coming = (*self._coming, generation)[-_MOST_COMING:]
        return generation

    def _bound(self, files: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        return {name: self._sockets.bound(data) if name == MAIN and data else data for name, data in files.items()}

    def _gone(self, *, by_name: bool = False) -> tuple[str, ...]:
        """Private sockets that are gone although HAProxy runs, by their paths: a reload makes others."""
        gone = self._sockets.gone(by_name=by_name)
        workers = self._runtime.workers() if gone else None
        return tuple(str(self._folder / name) for name in gone) if workers and workers.serving else ()

    def _tells(self) -> str:
        """The generation that runs, empty where none is told. Asked by commands where the socket for it is gone."""
        said = self._runtime.version()
        return said.partition(" ")[0] if said else self._runtime.generation() if self._gone() else ""

    def _answers(self, generation: str) -> bool:
        return (self._runtime.version() or "").startswith(f"{generation} ")

    def _explain(self) -> None:
        """Raises `ConfigRejected` where the files are at fault."""
        refusal = refusal_in(self._part, self._folder)
        if refusal is not None:
            raise rejected(refusal, self._place.content)

    # Applying

    @property
    def in_place(self) -> frozenset[Kind]:
        """See `Control.in_place`."""
        return IN_PLACE

    def apply_delta(self, change: Change, note: str) -> Proof:
        """See `Control.apply_delta`."""
        began = self._clock()
        self._must_run()
        if self._running is None:
            raise NotInPlace(
                "the running HAProxy was found, and what it was told since its start is unknown", what="adopted"
            )
        self._must_be_reached(by_name=True)
        commands, running = self._plan(change, self._running)
        batches = list(reply.batches(commands))
        told = self._runtime.generation()
        if not told:
            self._must_be_reached()
            raise NotInPlace("HAProxy does not answer at its socket for commands", what="silent")
        if told != self._generation:
            raise NotInPlace("HAProxy was reloaded by somebody else", what="drift")
        generation = self._next()
        # First, so that nobody takes what lies there for what runs, should this worker die in between.
        self._kept.write(generation, running)
        self._place.write(change.files)
        # Whoever reloads HAProxy by hand before the maps are written gets another generation than this one.
        now = time.monotonic()
        self._unwritten = (self._unwritten[0] if self._unwritten else now, now)
        self._running = None
        for command, verdict in self._runtime.run(batches):
            if verdict.what != "done":
                raise ProxyUnavailable(
                    f"HAProxy refused {delta.written(command)!r}: {verdict.said}; a reload will bring it into effect"
                )
        if self._runtime.swap_version(f"{generation} {note}") != self._generation:
            raise ProxyUnavailable("HAProxy was reloaded by somebody else meanwhile; another reload will mend that")
        effective_at = self._clock()
        self._place.proven()
        self._generation, self._coming, self._running = generation, (), running
        self._totals["updates"] += 1
        detail = f"{len(commands)} commands, {1000 * (effective_at - began):.1f} ms"
        return Proof(applying_at=began, effective_at=effective_at, let_go_at=effective_at, detail=detail)

    def _plan(self, change: Change, running: Running) -> tuple[list[Command], Running]:
        """The commands for all hosts. Raises `NotInPlace` and `ConfigRejected`; nothing has been changed then."""
        commands: list[Command] = []
        for before, after in change.hosts.values():
            found = delta.change(self._served(before), self._served(after), running)
            if isinstance(found, delta.NotInPlace):
                raise NotInPlace(found.reason, what="spares")
            commands += found.commands
            running = found.running
        if len(commands) > (most := delta.most(running)):
            raise NotInPlace(
                f"{len(commands)} commands, and with more than {most} a reload is quicker", what="commands"
            )
        return commands, running

    def _served(self, view: HostView | None) -> Served:
        return self._renderer.served(view) if view else NOTHING

    def _must_be_reached(self, *, by_name: bool = False) -> None:
        """Raises `NotInPlace` where a private socket is gone."""
        if gone := self._gone(by_name=by_name):
            raise NotInPlace(f"HAProxy's private socket {' and '.join(gone)} is gone and is made anew", what="sockets")

    def apply_snapshot(self, files: Mapping[str, bytes | None], note: str) -> Proof:
        """See `Control.apply_snapshot`. The culprit of a `ConfigRejected` is a file name."""
        began = self._clock()
        master = self._must_run()
        if gone := self._sockets.gone():
            paths = ", ".join(str(self._folder / name) for name in gone)
            self._log.error("private sockets of HAProxy are gone; a reload makes others", sockets=paths)
            self._sockets.rename(gone)
            files = {**({MAIN: main} if (main := self._place.content.get(MAIN)) else {}), **files}
        self._kept.forget()
        self._place.write(self._bound(files))
        generation = self._next()
        running = self._made.write(generation, note)
        refusal = refusal_in(self._part, self._folder)
        if refusal is not None:
            error = rejected(refusal, self._place.content)
            self._coming = self._coming[:-1]
            self._place.restore()
            self._write_made()
            if self._running is not None:
                self._kept.write(self._generation, self._running)
            raise error
        self._running = None
        answers_at = self._reloads.reload(master, lambda: self._answers(generation))
        self._place.proven()
        self._settle(master, generation, running)
        # Until then an old worker may answer what comes on its idle connections.
        effective_at = self._reloads.let_go(master)
        self._totals["reloads"] += 1
        detail = f"answers {1000 * (answers_at - began):.0f} ms, proven {1000 * (effective_at - began):.0f} ms"
        return Proof(applying_at=began, effective_at=effective_at, let_go_at=effective_at, detail=detail)

    def _must_run(self) -> Identity:
        if self._master is None or not self._master.alive():
            raise ProxyUnavailable("HAProxy does not run")
        return self._master

    def probe(self) -> bool | None:
        """See `Control.probe`."""
        if self.alive():
            self._must_be_reached()
        said = self._runtime.version()
        return None if said is None else said.startswith(f"{self._generation} ")

    def check(self, hosts: Mapping[str, bytes]) -> None:
        """See `Control.check`."""
        files = {self._renderer.file_of(host): data for host, data in hosts.items()}
        shared = self._renderer.shared(len(hosts), max(map(len, hosts), default=0), default=False)
        refusal = refusal_aside(self._part, self._folder / "check", {**shared, **files})
        if refusal is not None:
            raise rejected(refusal, files)

    # Tending and ending

    def tend(self) -> dict[str, float]:
        """See `Control.tend`."""
        for step in (self._delete_servers, self._write_maps):
            try:
                step()
            except ProxyUnavailable as error:
                self._log.warning("put off", error=str(error))
        workers = self._runtime.workers()
        number, held = self._old.tend(workers.old) if workers else (0, 0)
        running = self._running or Running()
        told = {f"spares_{kind}": float(len(names)) for kind, names in running.free.items()}
        told |= {"leaving_servers": float(len(running.leaving)), "old_workers_ended": float(self._old.ended)}
        told |= reply.figures(self._runtime.info(), self._renderer.most_connections)
        return {**self._totals, **told, "old_workers": float(number), "old_bytes": float(held)}

    def _delete_servers(self) -> None:
        running = self._running
        if running is None or not running.leaving or self._runtime.generation() != self._generation:
            return
        servers = delta.to_delete(running, _MOST_DELETED, self._tried_last)
        self._tried_last = servers[-1]
        for command, verdict in self._runtime.run(reply.batches(delta.deletions(servers))):
            if verdict.what == "done":
                running = delta.deleted(running, command)
        if running is not self._running:
            self._running = running
            self._kept.write(self._generation, running)

    def _write_maps(self) -> None:
        """Once it is quiet: so that a restart that is not ours gives what runs, too; under a generation of its own."""
        if self._unwritten is None:
            return
        first, last = self._unwritten
        if time.monotonic() < min(last + _QUIET, first + _LONGEST):
            return
        self._write_made()
        self._unwritten = None

    def _write_made(self) -> None:
        self._made.write(secrets.token_hex(4), "not told")

    def stop(self, timeout: float) -> None:
        """See `Control.stop`."""
        master, self._master = self._master, None
        if master is not None:
            # SIGUSR1 lets requests in flight finish; workers end with their master.
            end(master, (signal.SIGUSR1, timeout), (signal.SIGTERM, _ENDS))
            wait(lambda: not family.everyone_of(self._folder), _ENDS)
        if self._process is not None:
            self._process.wait(_ENDS)
            self._process = None
        self._at_end()

    def leave(self) -> None:
        """See `Control.leave`."""
        if self._process is not None:
            self._process.release()
        self._process = self._master = None
