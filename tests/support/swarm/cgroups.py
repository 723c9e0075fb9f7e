"""A node's control group: its processes are found and ended by it, whatever they became."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from support.swarm.commands import run


def roots() -> list[Path]:
    """Where control groups are mounted: a folder for each hierarchy of version 1, or the one of version 2."""
    first, second = [], []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        kind = fields[fields.index("-") + 1]
        if kind == "cgroup":
            first.append(Path(fields[4]))
        elif kind == "cgroup2":
            second.append(Path(fields[4]))
    return first or second


def mount() -> None:
    """Mounts the hierarchies of version 1 where a machine has none mounted."""
    if roots():
        return
    base = Path("/sys/fs/cgroup")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "cgroup", base)
    for line in Path("/proc/cgroups").read_text().splitlines():
        name, _, _, enabled = line.split()[:4]
        if not name.startswith("#") and enabled == "1":
            (base / name).mkdir()
            run("mount", "-t", "cgroup", "-o", name, "cgroup", base / name)


class Group:
    """The group `name` (a path) in every hierarchy."""

    def __init__(self, name: str) -> None:
        self.name = name

    def make(self, sub: str = "") -> list[Path]:
        """Makes it; the files into which a process writes its pid to join."""
        joins = []
        for root in roots():
            folder = root / self.name / sub
            folder.mkdir(parents=True, exist_ok=True)
            if root.name == "cpuset":
                # It takes no process before it has processors and memory.
                for part in [*reversed([p for p in folder.parents if p.is_relative_to(root) and p != root]), folder]:
                    for name in ("cpuset.cpus", "cpuset.mems"):
                        (part / name).write_text((root / name).read_text())
            joins.append(folder / "cgroup.procs")
        return joins

    def pids(self, sub: str = "") -> set[int]:
        """Its processes, those of groups below included."""
        found: set[int] = set()
        for folder in self._folders(sub):
            for here, _, _ in os.walk(folder):
                with contextlib.suppress(OSError):
                    found.update(map(int, (Path(here) / "cgroup.procs").read_text().split()))
        return found

    def kill(self) -> None:
        """SIGKILL to all of it, until nothing is left."""
        deadline = time.monotonic() + 10
        while left := self.pids():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < deadline, f"{self.name}: processes do not end: {sorted(left)}"
            time.sleep(0.03)

    def remove(self) -> None:
        """The group itself; it must be empty."""
        for folder in self._folders():
            for here, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    Path(here).rmdir()

    def _folders(self, sub: str = "") -> Iterator[Path]:
        for root in roots():
            folder = root / self.name / sub
            if folder.is_dir():
                yield folder
