"""What `interlock doctor` looks at for a proxy: nginx and its modules, memory, the state folder, names, open files."""

from __future__ import annotations

import os
import re
import resource
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from interlock.doctor.port import Ask, Check, Finding, error, ok, warning
from interlock.errors import ConfigError, PartMissing
from interlock.model.names import Cluster
from interlock.runtime.parts import NGINX_WHOLE, Part, find_nginx
from interlock_extension.app import proxy_options
from interlock_extension.confirm.resolver import DOCKER, server_of
from interlock_extension.delivery.files import default_folder
from interlock_extension.nginx import LOST, REMEDY, processes
from interlock_extension.nginx.config import read_config

_SMALL = 128 * 2**20
_NEEDED = ("http_realip_module",)
_OPTIONAL = {"http_stub_status_module": "/nginx_status answers 501"}
_WITHOUT = re.compile(r"--without-(http_(?:map|geo|proxy|rewrite|upstream_zone|upstream_keepalive)_module|http)\b")
_RESOLV = Path("/etc/resolv.conf")
_MOUNTS = Path("/proc/self/mountinfo")


def run(ask: Ask) -> Iterable[Finding]:
    """Everything about the proxy and the machine that it runs on."""
    inside = in_container()
    yield ok("container", "we run in one" if inside else "we run outside of one")
    yield from _nginx(ask)
    yield _memory(processes.memory_limit())
    folder = Path(ask.state_dir) if ask.state_dir else default_folder(Cluster(ask.region or "default", ask.cluster))
    yield from state_folder(folder, _MOUNTS.read_text(encoding="utf-8", errors="replace"))
    yield names(_RESOLV, inside=inside)
    yield _files(ask)


def _nginx(ask: Ask) -> Iterator[Finding]:
    try:
        part = find_nginx(ask.nginx or None)
    except PartMissing as missing:
        yield error(
            "nginx", str(missing), lost="nothing is served",
            remedy="install nginx, name one with --nginx, or: pip install 'interlock[embedded]'",
        )  # fmt: skip
        return
    if part.version < NGINX_WHOLE:
        yield warning("nginx", f"{part} is older than 1.27.4", lost=LOST, remedy=REMEDY)
    else:
        yield ok("nginx", str(part))
    yield from modules(part)


def modules(part: Part) -> Iterator[Finding]:
    """What this nginx was built with."""
    missing = [name for name in _NEEDED if f"--with-{name}" not in part.detail] + _WITHOUT.findall(part.detail)
    if missing:
        yield error(
            "nginx modules", f"built without {', '.join(missing)}", lost="it refuses our configuration",
            remedy="use an nginx of nginx.org's, Debian's, or: pip install 'interlock[embedded]'",
        )  # fmt: skip
    lost = {name: what for name, what in _OPTIONAL.items() if f"--with-{name}" not in part.detail}
    if lost:
        yield warning(
            "nginx modules", f"built without {', '.join(lost)}", lost="; ".join(lost.values()),
            remedy="use an nginx of nginx.org's or Debian's if you need it",
        )  # fmt: skip
    if not missing and not lost:
        yield ok("nginx modules", "all that we use")


def _memory(limit: int) -> Finding:
    megabytes = f"{limit / 2**20:.0f} MB; old workers may hold a quarter of it"
    if limit >= _SMALL:
        return ok("memory", megabytes)
    return warning(
        "memory", megabytes, lost="after a few reloads, long requests on old workers are ended early",
        remedy="give the container 128 MB or more",
    )  # fmt: skip


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


def _files(ask: Ask) -> Finding:
    try:
        config = read_config(proxy_options(ask.document.extensions, ask.cluster))
    except ConfigError as failed:
        return error("options", str(failed), lost="the worker does not start", remedy="correct config.toml")
    return open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], config.max_connections)


def open_files(limit: int, connections: int) -> Finding:
    """How many files a process may hold open, against the connections of a worker."""
    if limit in (-1, resource.RLIM_INFINITY) or limit >= connections:
        return ok("open files", f"{limit if limit > 0 else 'any number'}, for {connections} connections of a worker")
    return warning(
        "open files", f"{limit} at most, but a worker of nginx is to hold {connections} connections (MaxConnections)",
        lost=f"above about {limit} connections, clients wait or are refused",
        remedy="raise the container's ulimit nofile, or lower MaxConnections",
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
    if ask.nginx or ask.state_dir or os.environ.get("INTERLOCK_PROXY_ID"):
        return True
    try:
        find_nginx()
    except PartMissing:
        return False
    return True


check = Check(name="nginx", roles=("proxy",), run=run, here=_here)
