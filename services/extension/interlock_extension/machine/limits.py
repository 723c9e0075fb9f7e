"""What this machine lets a proxy have: processors, and open files. Shell."""

from __future__ import annotations

import contextlib
import os
import re
import resource
from pathlib import Path

_SYS_RESOURCE = 24


def processors() -> int:
    """On how many we may run."""
    return len(os.sched_getaffinity(0))


def open_files(wanted: int) -> int:
    """How many files a process of ours may open, when it asks for so many: fewer only where more is refused."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or wanted <= hard:
        return wanted
    if not _may_raise():
        return hard
    with contextlib.suppress(OSError, ValueError):
        return min(wanted, int(Path("/proc/sys/fs/nr_open").read_text()))
    return hard


def _may_raise() -> bool:
    with contextlib.suppress(OSError):
        found = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
        return bool(found and int(found[1], 16) >> _SYS_RESOURCE & 1)
    return False
