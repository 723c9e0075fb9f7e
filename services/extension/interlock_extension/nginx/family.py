"""Which processes of this machine are our nginx's: the master, its workers, and which still accept. Shell."""

from __future__ import annotations

import contextlib
from pathlib import Path

from interlock.runtime.process import Identity
from interlock_extension.machine import processes

PID_FILE = "nginx.pid"
WORKER = "nginx: worker process"
LEAVING = "nginx: worker process is shutting down"


def accepts(pid: int, listeners: set[int]) -> bool:
    """Whether a worker takes new connections on one of these sockets (inodes).

    Its title says that it leaves a moment before it closes them, so they are looked at where we may.
    """
    return processes.title(pid) == WORKER or bool((processes.sockets(pid) or set()) & listeners)


def master_of(folder: Path) -> Identity | None:
    """The running nginx that serves from this folder; None when there is none."""
    try:
        pid = int((folder / PID_FILE).read_text())
    except (OSError, ValueError):
        return None
    identity = Identity.of(pid)
    return identity if _is_master(pid, folder) else None


def orphans_of(folder: Path) -> list[Identity]:
    """Workers that outlived the master of this folder: they hold the listening sockets and would go on for ever.

    To be called when there is no master: a worker that was started just before it died bears its title for a moment.
    """
    found = []
    for pid in processes.everyone():
        with contextlib.suppress(OSError):
            if _is_master(pid, folder):
                orphan = True
            else:
                # Each generation works in a folder of its own below it.
                worker = processes.title(pid).startswith(WORKER)
                inside = worker and Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
                orphan = inside and "nginx: master" not in processes.title(processes.parent(pid))
            identity = Identity.of(pid) if orphan else None
            if identity is not None:
                found.append(identity)
    return found


def _is_master(pid: int, folder: Path) -> bool:
    return "master process" in processes.title(pid) and f"-p {folder} " in processes.title(pid) + " "


def is_worker(pid: int) -> bool:
    """Whether it is, or was until now, a worker of some nginx."""
    return processes.title(pid).startswith(WORKER)


def is_ready(pid: int) -> bool:
    """Whether it is a worker that takes requests and was not told to leave."""
    return processes.title(pid) == WORKER
