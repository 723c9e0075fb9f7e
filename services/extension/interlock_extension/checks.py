"""What `interlock doctor` looks at for any worker: where it runs, its state folder, who answers for names, memory."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from interlock.doctor.port import Ask, Check, Finding, error, ok, warning
from interlock.model.names import Cluster
from interlock_extension.confirm.resolver import DOCKER, server_of
from interlock_extension.delivery.files import default_folder

_RESOLV = Path("/etc/resolv.conf")
_MOUNTS = Path("/proc/self/mountinfo")


def run(ask: Ask) -> Iterable[Finding]:
    """Everything about the machine or the container."""
    inside = in_container()
    yield ok("container", "we run in one" if inside else "we run outside of one")
    folder = Path(ask.state_dir) if ask.state_dir else default_folder(Cluster(ask.region or "default", ask.cluster))
    yield from state_folder(folder, _MOUNTS.read_text(encoding="utf-8", errors="replace"))
    yield names(_RESOLV, inside=inside)


def state_folder(folder: Path, mounts: str) -> Iterator[Finding]:
    """The folder of a worker. `mounts`: the text of /proc/self/mountinfo."""
    present = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=present):
            pass
    except OSError as failed:
        yield error(
            "state folder", f"{folder} cannot be written: {failed.strerror}", lost="the worker does not start",
            remedy="give --state-dir a folder that this user may write",
        )  # fmt: skip
        return
    kind = filesystem(present.resolve(), mounts)
    if kind in {"tmpfs", "ramfs", "overlay"}:
        why = "is in memory" if kind != "overlay" else "lies in the container itself"
        yield warning(
            "state folder", f"{folder} {why} ({kind})",
            lost="a proxy that is made anew while the bus is away has no last good configuration to start from",
            remedy="put --state-dir on a volume",
        )  # fmt: skip
    else:
        yield ok("state folder", f"{folder} ({kind or 'filesystem not known'})")


def filesystem(path: Path, mounts: str) -> str:
    """The kind of filesystem that holds this path; the last of the longest mount points that contain it."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def names(resolv: Path, *, inside: bool) -> Finding:
    """Who answers for names. `resolv`: /etc/resolv.conf."""
    docker = server_of("", resolv) is not None
    if docker or not inside:
        return ok("names", f"Docker answers for them ({DOCKER})" if docker else "the machine's own resolver")
    return warning(
        "names", f"Docker's resolver ({DOCKER}) is not the first name server of {resolv}",
        lost="a bus that is named by its service may not be found; addresses are not confirmed while the bus is away",
        remedy="attach the container to an overlay network, or name the bus by an address",
    )  # fmt: skip


def memory(limit: int, least: int) -> Finding:
    """Of a proxy whose old workers finish after a reload. `limit`: bytes that we may have; `least`: megabytes."""
    megabytes = f"{limit / 2**20:.0f} MB; old workers may hold a quarter of it"
    if limit >= least * 2**20:
        return ok("memory", megabytes)
    return warning(
        "memory", megabytes, lost="after a few reloads, long requests on old workers are ended early",
        remedy=f"give the container {least} MB or more",
    )  # fmt: skip


def in_container() -> bool:
    """As far as one can tell."""
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "docker" in _read("/proc/1/cgroup")


def _read(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _here(ask: Ask) -> bool:
    return bool(ask.state_dir or os.environ.get("INTERLOCK_PROXY_ID"))


check = Check(name="worker", roles=("proxy",), run=run, here=_here)
