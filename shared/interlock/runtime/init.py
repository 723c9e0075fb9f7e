"""PID 1 of a container: starts programs, starts them again when they end, reaps whatever is left to it.

    python3 -m interlock.runtime.init interlock-extension --http-port 8080

A program that dies leaves its own children (an nginx that serves) running: they become ours, and its successor adopts
them. SIGTERM, SIGQUIT and SIGINT end everything in order, the last program first. The standard library alone: this is
the one process that nobody starts again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

CONTAINER = "INTERLOCK_CONTAINER"
"""In the environment of the programs: a word that is the same for all that one init has started, and for no others."""

STOP_TIMEOUT = 25.0
"""Seconds that everything may take to end; what then still runs is killed. A container's grace period is longer."""

_SETTLED = 10.0
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_MOST_DOUBLINGS = 8
_CONFIG_ERROR = 2
_NOT_STARTED = 126
_SUBREAPER = 36
_STOPPING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


@dataclass(frozen=True)
class User:
    """As whom a program runs: user and group id, and further groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(eq=False)
class Program:
    """What is to run. `argv[0]` is looked up on PATH; `user` needs that we are root."""

    argv: Sequence[str]
    user: User | None = None
    env: dict[str, str] = field(default_factory=dict)
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    tries: int = 0
    settled: bool = False
    """Whether it has ever run for a while: then no exit status is taken for a refusal of its settings."""

    @property
    def name(self) -> str:
        return os.path.basename(self.argv[0])  # noqa: PTH119  # a path is not wanted, and pathlib costs 10 ms here


class Init:
    """Runs programs until a signal says stop, or until one of them says that it cannot be configured so."""

    def __init__(self, programs: Sequence[Program], *, stop_timeout: float = STOP_TIMEOUT) -> None:
        self._programs = list(programs)
        self._stop_timeout = stop_timeout
        self._stopping = False
        self._status = 0
        self._wake, self._waker = os.pipe()
        for end in (self._wake, self._waker):
            os.set_blocking(end, False)

    def run(self) -> int:
        """Until all have ended; the exit status: 0 after a signal, that of a program which refused its settings."""
        # Orphans come to us even where we are not PID 1.
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        os.environ[CONTAINER] = os.urandom(8).hex()
        # Written to by the C handler itself: ours runs between two instructions, and a signal that comes after the last
        # of them and before the system call would wait there for as long as nothing else happens.
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (*_STOPPING, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        while not self._stopping:
            self._start_due()
            self._wait(self._until_due())
            self._reap()
        self._end()
        return self._status

    def _on_signal(self, number: int, _frame: object) -> None:
        if number in _STOPPING:
            self._stopping = True

    def _wait(self, seconds: float) -> None:
        select.select([self._wake], [], [], seconds)
        with contextlib.suppress(OSError):
            os.read(self._wake, 4096)

    # Starting

    def _until_due(self) -> float:
        due = [program.due for program in self._programs if not program.pid]
        return max(0.0, min(due) - time.monotonic()) if due else 3600.0

    def _start_due(self) -> None:
        now = time.monotonic()
        for program in self._programs:
            if not program.pid and program.due <= now and not self._stopping:
                try:
                    program.pid, program.started = _start(program), now
                except OSError as error:
                    # Memory or process ids are short, which is perhaps why it died; what still serves must not go too.
                    self._later(program, f"cannot be started now: {error}")

    # Ending

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for program in self._programs:
                if program.pid == pid:
                    self._ended(program, os.waitstatus_to_exitcode(status))

    def _ended(self, program: Program, status: int) -> None:
        program.pid = 0
        now = time.monotonic()
        if self._stopping:
            return
        lasted = now - program.started
        program.settled |= lasted >= _SETTLED
        if status == _CONFIG_ERROR and not program.settled and not program.tries:
            # It would say the same again; whoever started the container is to see it.
            _say(f"{program.name} refuses its settings (exit status {status}); ending")
            self._status, self._stopping = status, True
            return
        if lasted >= _SETTLED:
            program.tries = 0
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        self._later(program, f"ended after {lasted:.1f} s ({how})")

    def _later(self, program: Program, why: str) -> None:
        # Bounded before it is a power: a program that ends for hours must not end us with an overflow.
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(program.tries, _MOST_DOUBLINGS))
        program.tries += 1
        program.due = time.monotonic() + pause
        _say(f"{program.name} {why}; starting it again in {pause:g} s")

    def _end(self) -> None:
        deadline = time.monotonic() + self._stop_timeout
        # Those started last use those started first.
        for program in reversed(self._programs):
            if program.pid:
                _signal(program.pid, signal.SIGTERM)
                while program.pid and time.monotonic() < deadline:
                    self._wait(min(0.2, deadline - time.monotonic()))
                    self._reap()
        # Left behind by a program that had died: a proxy finishes its requests first.
        for killed, until in ((False, deadline), (True, deadline + 2.0)):
            while left := _children():
                for pid in left:
                    _signal(pid, signal.SIGKILL if killed else _gentle(pid))
                self._wait(0.1)
                self._reap()
                if time.monotonic() > until:
                    break


def _start(program: Program) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in (*_STOPPING, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if program.user is not None:
            os.setgroups(program.user.groups)
            os.setresgid(program.user.gid, program.user.gid, program.user.gid)
            os.setresuid(program.user.uid, program.user.uid, program.user.uid)
        os.execvpe(program.argv[0], list(program.argv), {**os.environ, **program.env})  # noqa: S606  # no shell: wanted
    except OSError as error:
        _say(f"{program.name} cannot be started: {error}")
    finally:
        os._exit(_NOT_STARTED)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123  # see `name`
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _gentle(pid: int) -> int:
    """Upon which signal a proxy finishes its requests and ends: each kind has its own."""
    name = b""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:  # noqa: PTH123  # see `name`
        name = file.read().strip()
    return signal.SIGUSR1 if name == b"haproxy" else signal.SIGQUIT


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"init: {text}\n".encode())


if __name__ == "__main__":
    words = sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:]
    if not words:
        _say("no program; write: python3 -m interlock.runtime.init PROGRAM [ARGUMENT]…")
        sys.exit(_CONFIG_ERROR)
    sys.exit(Init([Program(words)]).run())
