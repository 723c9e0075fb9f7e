"""HAProxy's private sockets: runtime commands to the newest worker, and the master's. Shell.

Both speak lines of text and close after the answer; what the answers mean is in `reply`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from interlock.errors import ProxyUnavailable
from interlock.runtime import health
from interlock.runtime.unix_socket import connect
from interlock_extension.haproxy import reply
from interlock_extension.haproxy.delta import Command
from interlock_extension.haproxy.refusal import complaint
from interlock_extension.haproxy.render import RUNTIME_SOCKET, STATUS_SOCKET
from interlock_extension.haproxy.reply import Verdict, Workers

MASTER_SOCKET = "master.sock"

_TIMEOUT = 5.0
_RELOAD_TIMEOUT = 60.0
_STATUS_TIMEOUT = 1.0


class Runtime:
    """The sockets of the HAProxy in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, batches: Iterable[tuple[Command, ...]]) -> Iterator[tuple[Command, Verdict]]:
        """Each command of `reply.batches` with its verdict; no further batch is sent before those have been taken.

        Raises `ProxyUnavailable` where HAProxy does not answer, or not as it should.
        """
        for batch in batches:
            answers = reply.split(self._say(RUNTIME_SOCKET, reply.batch(batch)), batch)
            for command, answer in zip(batch, answers, strict=True):
                yield command, reply.verdict(command, answer)

    def generation(self) -> str:
        """Which generation the process runs that takes commands; empty where it does not say."""
        try:
            return reply.generation(self._say(RUNTIME_SOCKET, reply.ask_version()))
        except ProxyUnavailable:
            return ""

    def swap_version(self, note: str) -> str:
        """Say what runs from now on, to the process that took the commands; which generation it ran until then.

        Raises `ProxyUnavailable`.
        """
        return reply.generation(self._say(RUNTIME_SOCKET, reply.swap_version(note)))

    def retire(self, pid: int) -> bool:
        """Have an old worker hand over what it is still asked; whether it will."""
        try:
            return not self._say(MASTER_SOCKET, reply.retire(pid)).strip()
        except ProxyUnavailable:
            return False

    def reload(self) -> bool:
        """Ask the master to read its files anew; whether it heard: for a moment after a reload it does not.

        Up to 2.6 it does not wait for the end.
        """
        try:
            self._say(MASTER_SOCKET, "reload\n", timeout=_RELOAD_TIMEOUT)
        except ProxyUnavailable as error:
            # Cut off while it begins anew.
            return not isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError)
        return True

    def startup_log(self) -> str:
        """What HAProxy complained of when it last read its files; empty before 2.7, which does not tell."""
        try:
            return complaint(self._say(MASTER_SOCKET, "show startup-logs\n"))
        except ProxyUnavailable:
            return ""

    def workers(self) -> Workers | None:
        """The worker that serves, and old ones; None while the master does not answer."""
        try:
            return reply.workers(self._say(MASTER_SOCKET, "show proc\n"))
        except ProxyUnavailable:
            return None

    def version(self) -> str | None:
        """What the newest worker says that it runs: `<generation> <note>`; None where it does not answer."""
        return health.ask(str(self._folder / STATUS_SOCKET), timeout=_STATUS_TIMEOUT)

    def info(self) -> dict[str, str]:
        """HAProxy's own numbers, by its names; empty where it does not answer."""
        try:
            return reply.info(self._say(RUNTIME_SOCKET, "show info\n"))
        except ProxyUnavailable:
            return {}

    def _say(self, name: str, line: str, timeout: float = _TIMEOUT) -> str:
        try:
            with connect(self._folder, name, timeout) as link:
                link.sendall(line.encode())
                # The master waits for more lines until it is told that there are none.
                link.shutdown(socket.SHUT_WR)
                said = bytearray()
                while piece := link.recv(65536):
                    said += piece
        except OSError as error:
            raise ProxyUnavailable(f"HAProxy does not answer at {self._folder / name}: {error}") from error
        return said.decode(errors="replace")
