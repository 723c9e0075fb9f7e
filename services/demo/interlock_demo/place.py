"""Where the demo runs: its folder, the lock that keeps it single, what it announces, its port. Shell.

The lock is the kernel's (flock): it goes with the last process that holds it, the leash included, so that a demo that
was killed is no obstacle, and the next one starts when everything of it is gone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import sys
import time
from pathlib import Path

import msgspec

from interlock.errors import ConfigError
from interlock.runtime.process import Identity
from interlock.runtime.rundir import run_dir
from interlock_demo.installation import Layout

LOOPBACK = ("127.0.0.1", "::1")
PORTS_TRIED = 50
_LEFTOVERS_GO_WITHIN = 5.0


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """The demo that runs here."""

    pid: int
    started: int
    port: int = 0

    @property
    def identity(self) -> Identity:
        """Of its process."""
        return Identity(self.pid, self.started)


class Place:
    """The folder of the demo. `taken` tells who is there; `take` makes it ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout(folder=folder)
        self._lock: int | None = None

    @classmethod
    def here(cls) -> Place:
        """The folder that every command of this user and environment means."""
        return cls(run_dir())

    @property
    def passing(self) -> tuple[Path, ...]:
        """What the leash removes when all is over, besides what the installation leaves."""
        return (self._card, self.folder / "bus.url")

    @property
    def lock(self) -> int:
        """The lock's descriptor, to be kept open by whoever must be gone before the next demo starts."""
        if self._lock is None:
            raise RuntimeError("the place was not taken")
        return self._lock

    @property
    def _card(self) -> Path:
        return self.folder / "demo.json"

    def take(self) -> bool:
        """Makes it ours, and clean; False where a demo runs. Raises `ConfigError` where the folder is not to be had."""
        self._open_folder()
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LEFTOVERS_GO_WITHIN
        while not _locked(descriptor):
            # Killed hard a moment ago: its leash is still at work.
            if self.taken() is not None or time.monotonic() > deadline:
                os.close(descriptor)
                return False
            time.sleep(0.05)
        self._lock = descriptor
        for path in (*self.layout.passing, *self.passing, self.layout.logs):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        self.announce(0)
        return True

    def release(self) -> None:
        """Takes the announcement back and lets the next one in."""
        if self._lock is not None:
            self._card.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def announce(self, port: int) -> None:
        """Tells other terminals who runs here, and on which port (0: not yet)."""
        identity = Identity.of(os.getpid())
        card = Announced(pid=os.getpid(), started=identity.started if identity else 0, port=port)
        fresh = self._card.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(card))
        fresh.replace(self._card)

    def taken(self) -> Announced | None:
        """The demo that runs here; None when none does."""
        try:
            card = msgspec.json.decode(self._card.read_bytes(), type=Announced)
        except (OSError, msgspec.MsgspecError):
            return None
        return card if card.identity.alive() else None

    def _open_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.folder.lstat()
        except OSError as error:
            raise ConfigError(f"the folder {self.folder} cannot be made: {error}; set INTERLOCK_RUN_DIR") from error
        # The name can be guessed and may lie where everybody can write: nobody else's folder, and no link to one.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise ConfigError(f"{self.folder} is not a folder of yours; remove it or set INTERLOCK_RUN_DIR to another")
        self.folder.chmod(0o700)


def free_port(first: int) -> int:
    """The first port from `first` on which nobody listens on any loopback address. Raises `ConfigError`."""
    last = min(first + PORTS_TRIED, 65535)
    for port in range(first, last + 1):
        if all(_free(address, port) for address in addresses()):
            return port
    raise ConfigError(f"every port from {first} to {last} is taken; give another with --port")


def addresses() -> tuple[str, ...]:
    """The loopback addresses that this machine has: `shop.localhost` may mean either."""
    return tuple(address for address in LOOPBACK if _bindable(address))


def listen(port: int) -> tuple[str, ...]:
    """Those addresses with a port, as the worker is told."""
    return tuple(f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address in addresses())


def command() -> str:
    """How to type `interlock` in another terminal that stands where this one does."""
    ours = Path(sys.executable).parent / "interlock"
    environment = f"INTERLOCK_RUN_DIR={run_dir()} " if "INTERLOCK_RUN_DIR" in os.environ else ""
    on_path = shutil.which("interlock")
    if not ours.exists() or (on_path is not None and Path(on_path).resolve() == ours.resolve()):
        return f"{environment}interlock"
    if not ours.is_relative_to(Path.cwd()):
        return f"{environment}{ours}"
    # A path without a slash would be looked for on PATH.
    relative = str(ours.relative_to(Path.cwd()))
    return environment + (relative if "/" in relative else f"./{relative}")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _bindable(address: str) -> bool:
    return _bind(address, 0) is None


def _free(address: str, port: int) -> bool:
    return _bind(address, port) is None


def _bind(address: str, port: int) -> OSError | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            # As nginx does: connections of a demo that has just ended are no obstacle, a listener is.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            probe.listen(1)
    except OSError as error:
        return error
    return None
