"""Ports and who listens on them, from /proc. Shell."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from pathlib import Path

_FIRST, _LAST = 12_000, 32_000
"""Below those that the kernel gives to clients."""

_LISTEN = "0A"


def free_port() -> int:
    """A port on which nobody listens and which the kernel gives to no client."""
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(_FIRST, _LAST)
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            return port


def listening(port: int) -> list[int]:
    """The processes that hold a socket which listens on this port, those that we may look at; lowest pid first."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return [pid for pid in _processes() if inodes and inodes & _open(pid)]


def _processes() -> list[int]:
    return sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _open(pid: int) -> set[str]:
    found = set()
    # It may end, or be another user's, at any step.
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208  # names only
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{name}"))  # noqa: PTH115  # a name of the kernel's, no path
    return found
