"""A child program: started, watched, stopped, and never confused with another that got its pid.

With `die_with_parent` the kernel kills the child when we are gone, however we went. Linux delivers that when the
*thread* that forked ends, so every such child is started by one thread that lives as long as the process.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from interlock.errors import InterlockError

_SHIM = (
    "import ctypes,os,signal,sys\n"
    "ctypes.CDLL(None).prctl(1,int(sys.argv[2]),0,0,0)\n"
    "if os.getppid()!=int(sys.argv[1]): os._exit(1)\n"
    "os.execv(sys.argv[3],sys.argv[3:])\n"
)
"""Asks the kernel for the signal, then becomes the program. Not `preexec_fn`, which may deadlock under threads."""


class Identity(NamedTuple):
    """A process for good: pid and start time in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a live process; None when there is none, or only a zombie."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The name, in parentheses, may hold blanks and parentheses itself.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Identity.of(self.pid) == self

    def send_signal(self, number: int) -> bool:
        """Send a signal to this very process, never to another with its pid; False when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            # The handle pins the pid's process; comparing after opening closes the race with a reused pid.
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


class Process:
    """A running child program."""

    def __init__(self, popen: subprocess.Popen[bytes], name: str) -> None:
        self.name = name
        self.pid = popen.pid
        self._popen = popen
        self._lock = threading.Lock()

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        name: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: IO[bytes] | int = subprocess.DEVNULL,
        stderr: IO[bytes] | int = subprocess.DEVNULL,
        die_with_parent: bool = True,
        new_session: bool = True,
    ) -> Process:
        """Start a program; `argv[0]` is an absolute path.

        `new_session` keeps the terminal's Ctrl-C from it, so that we stop it in our order. Raises InterlockError.
        """
        command = list(argv)
        if die_with_parent:
            command = [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), str(int(signal.SIGKILL)), *command]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=new_session,
            )

        try:
            popen = _starter().submit(start).result() if die_with_parent else start()
        except OSError as error:
            raise InterlockError(f"{argv[0]} could not be started: {error}") from error
        return cls(popen, name or Path(argv[0]).name)

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        with self._lock:
            return self._popen.poll()

    def alive(self) -> bool:
        """Whether it runs."""
        return self.returncode is None

    def identity(self) -> Identity | None:
        """Its identity, for a later owner to adopt; None when it has ended."""
        return Identity.of(self.pid) if self.alive() else None

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended. Safe: the pid is ours until we reap it."""
        with self._lock:
            self._popen.send_signal(number)

    def wait(self, timeout: float | None = None) -> int | None:
        """Exit status, or None when it still runs after `timeout` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(timeout)
        return None

    def release(self) -> None:
        """Let go of it for good: it outlives us on purpose. Only its `Identity` tells of it from now on."""
        # Else the interpreter warns at its end of a child that still runs.
        with self._lock:
            self._popen.returncode = self._popen.poll() or 0

    def stop(self, timeout: float = 5.0, *, first: int = signal.SIGTERM) -> int:
        """Ask it to end with `first`, kill it after `timeout` seconds; its exit status."""
        self.send_signal(first)
        if self.wait(timeout) is None:
            self.send_signal(signal.SIGKILL)
        return self._popen.wait()


_starter_lock = threading.Lock()
_starters: dict[int, concurrent.futures.ThreadPoolExecutor] = {}


def _starter() -> concurrent.futures.ThreadPoolExecutor:
    # By pid, since a forked copy of us has no such thread any more.
    with _starter_lock:
        pool = _starters.get(os.getpid())
        if pool is None:
            pool = _starters[os.getpid()] = concurrent.futures.ThreadPoolExecutor(1, "start-programs")
        return pool
