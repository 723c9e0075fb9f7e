"""HAProxy's private sockets by name, and what to do where one is gone. Shell, but for the functions below the class.

A reload hands an open listener on together with its name, so a socket whose file is gone comes back under another name
only: `status.1.sock` after `status.sock`, with a number of its own for each. The usual name is then a link to it, by
which it is also reached by old workers and whoever else knows that name.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from interlock.errors import ProxyUnavailable
from interlock.runtime.unix_socket import connect
from interlock_extension.haproxy.render import HANDOVER_SOCKET, MAIN, RUNTIME_SOCKET, STATUS_SOCKET

NAMES = (RUNTIME_SOCKET, STATUS_SOCKET, HANDOVER_SOCKET)

_TIMEOUT = 1.0
_BOUND = re.compile(rb"(?:(?<=bind unix@)|(?<=stats socket unix@))(runtime|status|handover)(?:\.(\d+))?\.sock\b")


class Sockets:
    """Those of one folder, except the master's, which nothing brings back but a start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}

    def read(self) -> None:
        """Learn from the main file how they are called."""
        self._numbers = {}
        with contextlib.suppress(OSError):
            self._numbers = numbers((self._folder / MAIN).read_bytes())

    def bound(self, main: bytes) -> bytes:
        """A main file as rendered, with the names that hold now."""
        return numbered(main, self._numbers)

    def gone(self, *, by_name: bool = False) -> tuple[str, ...]:
        """The usual names of those that nobody listens at. One whose link alone is gone gets it back.

        `by_name`: only those of which there is no file, which is quicker found out.
        """
        with contextlib.suppress(OSError):
            self._link()
        return tuple(name for name in NAMES if self._is_dead(name, by_name=by_name))

    def rename(self, names: Iterable[str]) -> None:
        """Give these other names, which hold from the next start or reload on. Raises `ProxyUnavailable`."""
        for name in names:
            self._numbers[name] = self._numbers.get(name, 0) + 1
        try:
            self._link()
        except OSError as error:
            raise ProxyUnavailable(f"no private socket can be made in {self._folder}: {error}") from error

    def _link(self) -> None:
        for name, number in self._numbers.items():
            path = self._folder / name
            target = _called(name, number)
            if path.is_symlink() and path.readlink() == Path(target):
                continue
            fresh = path.with_name(f".{name}.new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(target)
            fresh.replace(path)

    def _is_dead(self, name: str, *, by_name: bool) -> bool:
        try:
            if not stat.S_ISSOCK((self._folder / name).stat().st_mode):
                return True
            # Of one that connects there, HAProxy expects who the client is, and logs where that does not come.
            if name != HANDOVER_SOCKET and not by_name:
                connect(self._folder, name, _TIMEOUT).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return True
        except OSError:
            # Busy, or not to be found out: no reason to reload.
            return False
        return False


def numbers(main: bytes) -> dict[str, int]:
    """Which number each socket of a main file has, by its usual name; those without one are left out."""
    return {f"{name.decode()}.sock": int(number) for name, number in _BOUND.findall(main) if number}


def numbered(main: bytes, wanted: Mapping[str, int]) -> bytes:
    """The same main file with these numbers, and without any where there is none."""

    def call(found: re.Match[bytes]) -> bytes:
        name = f"{found[1].decode()}.sock"
        return _called(name, wanted.get(name, 0)).encode()

    return _BOUND.sub(call, main)


def _called(name: str, number: int) -> str:
    return name.replace(".sock", f".{number}.sock") if number else name
