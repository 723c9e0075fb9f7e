"""Keeps programs running: starts them through the leash, starts again those that end unasked, and says so. Shell.

The demo restarts (with growing waits); tests do not, since they kill and start by themselves.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from interlock.errors import InterlockError
from interlock_demo.launcher import Launcher, Program

FIRST_WAIT = 0.2
MOST_WAIT = 5.0
LIVED = 10.0
"""Seconds after which a program counts as having come up, and its next end as a new story."""

_LAST_LINES = 4


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A program to run. `argv[0]` is an absolute path; `env` is the whole environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]


class _Kept:
    """A spec with its present life."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.program: Program | None = None
        self.wanted = False
        self.began = 0.0
        self.failures = 0
        self.again_at: float | None = None


class Supervisor:
    """Programs by name. `say` hears a line for every end that nobody asked for."""

    def __init__(
        self,
        logs: Path,
        *,
        restart: bool = True,
        say: Callable[[str], None] = lambda _: None,
        remove: Sequence[Path] = (),
        keep: Sequence[int] = (),
    ) -> None:
        self.logs = logs
        self._restart = restart
        self._say = say
        self._kept: dict[str, _Kept] = {}
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._launcher = Launcher(self._ended, remove=remove, keep=keep)
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def leash(self) -> int:
        """The leash's pid."""
        return self._launcher.pid

    @property
    def lost(self) -> threading.Event:
        """Set when the leash is gone; then nothing can be started any more."""
        return self._launcher.lost

    @property
    def names(self) -> tuple[str, ...]:
        """Of all programs, in the order in which they were added."""
        return tuple(self._kept)

    def log(self, name: str) -> Path:
        """Where a program's output goes."""
        return self.logs / f"{name}.log"

    def add(self, spec: Spec) -> Program:
        """Starts a program and keeps it. Raises InterlockError."""
        with self._changed:
            self._kept[spec.name] = _Kept(spec)
        return self.start(spec.name)

    def start(self, name: str) -> Program:
        """Starts a program (again) that was added. Raises InterlockError."""
        with self._changed:
            kept = self._kept[name]
            kept.wanted, kept.again_at = True, None
        program = self._launcher.start(name, kept.spec.argv, env=kept.spec.env, log=self.log(name))
        with self._changed:
            kept.program, kept.began = program, time.monotonic()
        # It may have ended before it was known here.
        if not program.alive():
            self._ended(program)
        return program

    def program(self, name: str) -> Program | None:
        """The program's present or last life."""
        return self._kept[name].program

    def failures(self, name: str) -> int:
        """How often in a row it has ended soon after its start."""
        return self._kept[name].failures

    def stop(self, name: str, timeout: float = 5.0) -> None:
        """SIGTERM, and SIGKILL after `timeout` seconds; it is not started again."""
        program = self._unwanted(name)
        if program is not None:
            program.stop(timeout)

    def kill(self, name: str) -> None:
        """SIGKILL; it is not started again. Returns when it is gone."""
        program = self._unwanted(name)
        if program is not None:
            program.signal(signal.SIGKILL)
            program.wait()

    def close(self, timeout: float = 4.0) -> None:
        """Stops all programs together, then lets go of the leash. Nothing is left when this returns."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            programs = [kept.program for kept in self._kept.values() if kept.program is not None]
        self._thread.join()
        for program in programs:
            program.signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout
        for program in programs:
            program.wait(max(0.0, deadline - time.monotonic()) if not self.lost.is_set() else 0.0)
        self._launcher.close()

    def last_words(self, name: str) -> str:
        """The end of a program's log."""
        try:
            lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_LAST_LINES:])

    def _unwanted(self, name: str) -> Program | None:
        with self._changed:
            kept = self._kept[name]
            kept.wanted, kept.again_at = False, None
            return kept.program

    def _ended(self, program: Program) -> None:
        with self._changed:
            kept = self._kept[program.name]
            if self._closed or not kept.wanted or kept.program is not program or kept.again_at is not None:
                return
            lived = time.monotonic() - kept.began
            kept.failures = 1 if lived > LIVED else kept.failures + 1
            wait = min(MOST_WAIT, FIRST_WAIT * 2 ** (kept.failures - 1))
            if self._restart:
                kept.again_at = time.monotonic() + wait
                self._changed.notify_all()
        how = _how(program.status or 0)
        then = f"starting it again in {wait:.1f} s " if self._restart else ""
        self._say(f"{program.name} {how}; {then}(log: {self.log(program.name)})")

    def _run(self) -> None:
        while True:
            with self._changed:
                due = min((k.again_at for k in self._kept.values() if k.again_at is not None), default=None)
                if self._closed:
                    return
                now = time.monotonic()
                if due is None or due > now:
                    self._changed.wait(None if due is None else due - now)
                    continue
                names = [n for n, k in self._kept.items() if k.again_at is not None and k.again_at <= now]
            for name in names:
                self._again(name)

    def _again(self, name: str) -> None:
        try:
            self.start(name)
        except InterlockError as error:
            if not self.lost.is_set():
                self._say(str(error))


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
