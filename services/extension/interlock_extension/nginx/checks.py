"""What `interlock doctor` looks at for nginx: its version and modules, memory, open files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from interlock.doctor.port import Ask, Check, Finding, error, ok, warning
from interlock.errors import PartMissing
from interlock.runtime.parts import NGINX_WHOLE, Part, find_nginx
from interlock_extension.checks import memory
from interlock_extension.machine import limits, processes
from interlock_extension.nginx import LOST, REMEDY
from interlock_extension.nginx.config import read_config
from interlock_extension.told import told_by

_LEAST_MEMORY = 128
"""Megabytes."""

_NEEDED = ("http_realip_module",)
_OPTIONAL = {"http_stub_status_module": "/nginx_status answers 501"}
_WITHOUT = re.compile(r"--without-(http_(?:map|geo|proxy|rewrite|upstream_zone|upstream_keepalive)_module|http)\b")


def run(ask: Ask) -> Iterable[Finding]:
    """Everything about nginx and what it has here."""
    if ask.extension != "nginx" and ask.role == "proxy":
        return
    yield from _nginx(ask)
    yield memory(processes.memory_limit(), _LEAST_MEMORY)
    # The table of another kind of proxy has other options.
    if ask.extension == "nginx":
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


def _files(ask: Ask) -> Finding:
    # A file with a bad value has ended the command.
    told = told_by(ask.document, ask.cluster, "nginx", {})
    config = read_config(told.options, told.places)
    return open_files(limits.open_files(config.rlimit_nofile), config.max_connections)


def open_files(limit: int, connections: int) -> Finding:
    """How many files a process may hold open, against the connections of a worker."""
    if limit >= connections:
        return ok("open files", f"{limit}, for {connections} connections of a worker")
    return warning(
        "open files", f"{limit} at most, but a worker of nginx is to hold {connections} connections (MaxConnections)",
        lost=f"above about {limit} connections, clients wait or are refused",
        remedy="raise RLimitNoFile and the container's ulimit nofile, or lower MaxConnections",
    )  # fmt: skip


def _here(ask: Ask) -> bool:
    if ask.nginx or ask.state_dir:
        return True
    try:
        find_nginx()
    except PartMissing:
        return False
    return True


check = Check(name="nginx", roles=("proxy",), run=run, here=_here)
