"""Which processes of this machine are our HAProxy's: those that read the files of its folder. Shell."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from interlock.runtime.process import Identity
from interlock_extension.haproxy.complaints import FILES
from interlock_extension.haproxy.render import LOGS
from interlock_extension.machine.processes import everyone, parent

PID_FILE = "haproxy.pid"

_SHIM = (
    "import os,sys\n"
    f"os.dup2(1,{LOGS['/dev/stdout']})\n"
    f"os.dup2(2,{LOGS['/dev/stderr']})\n"
    "os.execv(sys.argv[1],sys.argv[1:])\n"
)
"""Keeps the descriptors for logs, then becomes HAProxy."""

_ARGUMENTS = "\0".join(("", *FILES, "")).encode()


def command(binary: Path, *options: str) -> list[str]:
    """The command line that begins a master in its folder, with the descriptors that its logs go to."""
    # Quiet once it has started: else a reload says a line of each backend.
    return [sys.executable, "-I", "-S", "-c", _SHIM, str(binary), "-W", "-db", "-q", "-p", PID_FILE, *options, *FILES]


def master_of(folder: Path) -> Identity | None:
    """The running master of this folder; None when there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int((folder / PID_FILE).read_text().split()[0])
        if _is_ours(pid, folder):
            return Identity.of(pid)
    # The file may have gone: the master is the one that none of the others began.
    family = {identity.pid: identity for identity in everyone_of(folder)}
    return next((identity for pid, identity in family.items() if parent(pid) not in family), None)


def everyone_of(folder: Path) -> list[Identity]:
    """Every HAProxy of this folder, masters first. Workers end with their master, but not at once."""
    return [identity for pid in sorted(everyone()) if _is_ours(pid, folder) and (identity := Identity.of(pid))]


def _is_ours(pid: int, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        return _ARGUMENTS in arguments and Path(f"/proc/{pid}/cwd").readlink() == folder
    return False
