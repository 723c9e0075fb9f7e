"""Starting programs through the leash, so that none of them outlives us. Shell; used by `supervisor`.

A program's pid stays known with its start time, so that a signal never hits another process that got the pid.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from interlock.errors import InterlockError
from interlock.runtime.process import Identity

_ANSWER_WITHIN = 10.0
_LEASH = Path(__file__).with_name("leash.py")


class Program:
    """A program that was started. `status` is None while it runs, then its exit status (negative for a signal)."""

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.identity = Identity.of(pid)
        self.status: int | None = None
        self._over = threading.Event()

    def alive(self) -> bool:
        """Whether it runs, as far as the leash has said."""
        return self.status is None

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status; None when it still runs after `timeout` seconds."""
        self._over.wait(timeout)
        return self.status

    def signal(self, number: int) -> bool:
        """Sends a signal; False when it has ended."""
        return self.identity is not None and self.identity.send_signal(number)

    def stop(self, timeout: float = 5.0) -> int | None:
        """Asks it to end, kills it after `timeout` seconds; its exit status."""
        self.signal(signal.SIGTERM)
        if self.wait(timeout) is None:
            self.signal(signal.SIGKILL)
        return self.wait(timeout)

    def ended(self, status: int) -> None:
        """The launcher's notice."""
        self.status = status
        self._over.set()


class Launcher:
    """The leash's other end. `on_end` hears of each program that ended, in the launcher's thread.

    `remove`: what the leash removes after everything else; `keep`: descriptors that it keeps open until then.
    """

    def __init__(
        self,
        on_end: Callable[[Program], None] = lambda _: None,
        *,
        remove: Sequence[Path] = (),
        keep: Sequence[int] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        fds = (theirs.fileno(), *keep)
        argv = [sys.executable, "-I", "-S", str(_LEASH), *map(str, fds)]
        with theirs:
            self._leash = subprocess.Popen(argv, pass_fds=fds, start_new_session=True, stdin=subprocess.DEVNULL)
        self._sock = ours
        self._on_end = on_end
        self._programs: dict[int, Program] = {}
        self._numbers = itertools.count(1)
        self._asked = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._asking = threading.Lock()
        self.lost = threading.Event()
        """Set when the leash is gone."""
        self._send({"remove": [str(path) for path in remove]})
        self._reader = threading.Thread(target=self._read, name="leash", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The leash's."""
        return self._leash.pid

    def start(self, name: str, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> Program:
        """Starts a program in a session of its own, its output appended to `log`. Raises InterlockError."""
        request = {"start": name, "argv": list(argv), "env": dict(os.environ if env is None else env), "log": str(log)}
        with self._asking:
            with self._changed:
                number = self._asked = next(self._numbers)
            self._send({**request, "number": number})
            with self._changed:
                self._changed.wait_for(lambda: self._answers or self.lost.is_set(), _ANSWER_WITHIN)
                answer, self._asked = self._answers.pop(number, None), 0
                if answer is None:
                    raise InterlockError(f"{name} could not be started: the leash does not answer")
                if "why" in answer:
                    raise InterlockError(f"{name} could not be started: {answer['why']}")
                return self._programs[answer["pid"]]

    def close(self, timeout: float = 15.0) -> None:
        """Lets go of the leash, which kills whatever still runs; returns when it has gone, and everything with it."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._sock.close()
        try:
            self._leash.wait(timeout)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            self._leash.wait()

    def _send(self, request: Mapping[str, object]) -> None:
        try:
            self._sock.sendall(msgspec.json.encode(request) + b"\n")
        except OSError as error:
            raise InterlockError(f"the leash is gone: {error}") from error

    def _read(self) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := self._sock.recv(65536):
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._hear(msgspec.json.decode(line))
        with self._changed:
            self.lost.set()
            self._changed.notify_all()

    def _hear(self, answer: dict[str, Any]) -> None:
        if "ended" in answer:
            program = self._programs.pop(answer["ended"], None)
            if program is not None:
                program.ended(answer["status"])
                self._on_end(program)
            return
        with self._changed:
            if answer["number"] != self._asked:
                # Nobody waits for it any more, and nobody would ever end it.
                if "pid" in answer:
                    Program(answer["started"], answer["pid"]).signal(signal.SIGKILL)
                return
            if "pid" in answer:
                # Known before the next line is read, which may be that it has ended.
                self._programs[answer["pid"]] = Program(answer["started"], answer["pid"])
            self._answers[answer["number"]] = answer
            self._changed.notify_all()
