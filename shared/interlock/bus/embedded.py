"""A bus server of our own: Valkey from the wheel or the system's Redis, on a unix socket that only we can open.

For trying out and for one machine; production gives a URL. The server dies with the process that started it, and comes
back with its data when started again in the same folder.
"""

from __future__ import annotations

import time
from pathlib import Path

from interlock.bus.connection import Bus
from interlock.errors import BusError, BusUnavailable
from interlock.runtime.parts import Part, find_redis_server
from interlock.runtime.process import Process

_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0
_LONGEST_SOCKET_PATH = 107


class EmbeddedServer:
    """One server process. `url` is what services are given."""

    def __init__(self, part: Part, folder: Path) -> None:
        self.part = part
        self.folder = folder
        self.socket = folder / "bus.sock"
        self.url = f"unix://{self.socket}"
        self._process: Process | None = None

    @classmethod
    def start(cls, folder: Path, *, binary: str | None = None) -> EmbeddedServer:
        """Starts a server in `folder` (made, 0700) and waits until it answers.

        Raises `PartMissing` where there is none to start, and `BusUnavailable` where it does not come up.
        """
        server = cls(find_redis_server(binary), folder)
        server.run()
        return server

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self.alive() and self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.alive()

    def run(self) -> None:
        """Starts the server (again), with the data that the folder holds."""
        if len(str(self.socket)) > _LONGEST_SOCKET_PATH:
            raise BusUnavailable(f"the path {self.socket} is too long for a unix socket; choose a shorter folder")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        # The wheel's own wrapper opens a TCP port and leaves an orphan when its parent is killed; so we start it.
        argv = [
            str(self.part.path), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
            "--logfile", str(self.folder / "server.log"),
        ]  # fmt: skip
        self._process = Process.start(argv, name="bus")
        self._await_answer()

    def _await_answer(self) -> None:
        probe = Bus.connect(self.url, name="embedded-probe")
        deadline = time.monotonic() + _START_TIMEOUT
        try:
            while True:
                try:
                    return probe.ping()
                except BusError as error:
                    if not self.alive() or time.monotonic() > deadline:
                        raise BusUnavailable(
                            f"{self.part} did not come up; see {self.folder / 'server.log'}: {error}"
                        ) from error
                    time.sleep(0.01)
        finally:
            probe.close()

    def close(self) -> None:
        """Stops the server; its data stay in the folder."""
        if self._process is not None:
            self._process.stop(_STOP_TIMEOUT)
            self._process = None
