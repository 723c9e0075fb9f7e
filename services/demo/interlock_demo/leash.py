"""The leash: a tiny process from which everything hangs that the demo starts, so that nothing outlives the demo.

It starts programs on request and, when its pipe closes (the demo ended, however it ended), kills every process that
descends from them. It lives in a session of its own, so that a signal to the demo's terminal or process group passes
it by. It is the subreaper of its descendants: whatever loses its parent, such as nginx after its worker was killed,
becomes its child; so it need only ever kill children, whose pids cannot be another's before they are reaped.

Run as `python -I -S leash.py <socket fd> [<fd to keep open> …]`: standard library only, no thread, no clock but
for giving up. `launcher` starts it and speaks its protocol, JSON lines over a socket:

    → {"start": name, "number": n, "argv": […], "env": {…}, "log": path}
    ← {"started": name, "number": n, "pid": n}      or {"refused": name, "number": n, "why": text}
    ← {"ended": pid, "status": n}      at some time after; negative for a signal
    → {"remove": [path, …]}            files, sockets and folders to remove at the end
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from typing import Any

_SET_CHILD_SUBREAPER = 36
_GIVE_UP = 10.0
_OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)


class Leash:
    """The process's state: its socket, the programs started and not yet ended, what to remove."""

    def __init__(self, sock: socket.socket, wake: int) -> None:
        self._sock = sock
        self._wake = wake
        self._buffer = b""
        self._programs: set[int] = set()
        self._remove: list[str] = []

    def run(self) -> None:
        """Serves until the socket closes or SIGTERM; then leaves nothing behind."""
        with contextlib.suppress(OSError):
            while self._round():
                pass
        self._sock.close()
        kill_descendants()
        for path in self._remove:
            _remove(path)

    def _round(self) -> bool:
        ready, _, _ = select.select([self._sock.fileno(), self._wake], [], [])
        if self._wake in ready:
            if signal.SIGTERM in os.read(self._wake, 64):
                return False
            self._reap()
        if self._sock.fileno() in ready:
            data = self._sock.recv(65536)
            if not data:
                return False
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))
        return True

    def _obey(self, request: dict[str, Any]) -> None:
        if "remove" in request:
            self._remove += request["remove"]
            return
        try:
            pid = _start(request)
        except OSError as error:
            self._say({"refused": request["start"], "number": request["number"], "why": str(error)})
        else:
            self._programs.add(pid)
            self._say({"started": request["start"], "number": request["number"], "pid": pid})

    def _reap(self) -> None:
        for pid, status in _ended():
            if pid in self._programs:
                self._programs.discard(pid)
                self._say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, answer: dict[str, object]) -> None:
        self._sock.sendall(json.dumps(answer).encode() + b"\n")


def _start(request: dict[str, Any]) -> int:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return os.posix_spawn(
            request["argv"][0],
            request["argv"],
            request["env"],
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            # What this process ignores would stay ignored in the program.
            setsigdef=_OURS,
        )
    finally:
        os.close(log)


def _ended() -> list[tuple[int, int]]:
    """Reaps every child that has ended: (pid, wait status)."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            found.append((pid, status))
    return found


def _children() -> list[int]:
    """Pids of this process's living children. /proc/self/task/*/children is not there on every kernel."""
    me, found = os.getpid(), []
    for name in os.listdir("/proc"):  # noqa: PTH208  # pathlib is not worth its import here
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123  # as above
            state, parent = stat.read().rpartition(b")")[2].split()[:2]
            if int(parent) == me and state not in b"ZX":
                found.append(int(name))
    return found


def kill_descendants() -> None:
    """Kills children until there are none: those of a killed child become ours, and go in the next round."""
    give_up = time.monotonic() + _GIVE_UP
    # A look at /proc can miss one that is handed over meanwhile; only the kernel knows when none is left.
    while not _childless() and time.monotonic() < give_up:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def _childless() -> bool:
    """Reaps what has ended; whether no child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        return True
    return False


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114  # as above
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)  # noqa: PTH108  # as above


def main() -> None:
    """The process."""
    descriptors = [int(text) for text in sys.argv[1:]]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    if ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("this kernel has no child subreaper (Linux 3.4 or newer is needed)")
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    Leash(socket.socket(fileno=descriptors[0]), wake_read).run()


if __name__ == "__main__":
    main()
