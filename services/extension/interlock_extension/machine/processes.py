"""Looking at processes through /proc: what they call themselves, their children, sockets and memory. Shell."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from interlock.runtime.process import Identity

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LISTEN = "0A"
_CGROUP = Path("/sys/fs/cgroup")
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def title(pid: int) -> str:
    """What the process calls itself; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip().decode(errors="replace")
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    """The children of a process, oldest first; empty when it is gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        # Either the process is gone or the kernel was built without this file.
        return [other for other in everyone() if parent(other) == pid] if Identity.of(pid) else []
    except OSError:
        return []


def sockets(pid: int) -> set[int] | None:
    """Inodes of the sockets that a process holds; None where we may not look."""
    inodes = set()
    try:
        # The process may end, or be another user's, at any step: the folder is closed all the same.
        with os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    found = _SOCKET.fullmatch(str(Path(entry.path).readlink()))
                    if found:
                        inodes.add(int(found[1]))
    except FileNotFoundError:
        return set()
    except OSError:
        return None
    return inodes


def listeners_of(pid: int) -> set[int]:
    """Inodes of the TCP sockets on which a process listens. Costs a look at every connection: ask once."""
    inodes: set[int] = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    inodes.add(int(fields[9]))
    return inodes & (sockets(pid) or set())


def resident(pid: int) -> int:
    """Bytes that a process holds in memory by itself, without what it shares; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE


def memory_limit() -> int:
    """Bytes that this machine has, or that our control group may have where that is less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * _PAGE]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        # "max" where there is none.
        with contextlib.suppress(OSError, ValueError):
            limits.append(int((_CGROUP / name).read_text()))
    return min(limits)


def everyone() -> list[int]:
    """The pids of all processes that we see."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  # a hundred names, not paths


def parent(pid: int) -> int:
    """The parent's pid; 0 where there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
