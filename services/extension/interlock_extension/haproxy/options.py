"""Options of an operator that depend on this machine and this HAProxy: tried before anything is started. Shell."""

from __future__ import annotations

from pathlib import Path

import msgspec

from interlock.errors import ConfigError, ProxyUnavailable
from interlock.runtime.logging import get_logger
from interlock.runtime.parts import Part
from interlock_extension.haproxy.complaints import refusal_aside
from interlock_extension.haproxy.config import HaproxyConfig
from interlock_extension.haproxy.render import OURS, Facts, HaproxyRenderer
from interlock_extension.machine.limits import open_files, processors
from interlock_extension.machine.places import Places

_BESIDES = 64
_A_THREAD = 16
"""File descriptors that HAProxy needs besides two for each connection; it wants about 30 in all."""


def check_open_files(config: HaproxyConfig, places: Places) -> None:
    """HAProxy does not start with fewer file descriptors than it may need. Raises `ConfigError`."""
    needed = needed_files(config)
    allowed = open_files(needed)
    if allowed < needed:
        fitting = max(1, config.max_connections - (needed - allowed + 1) // 2)
        raise ConfigError(
            f"{places['MaxConnections']} = {config.max_connections}: HAProxy needs {needed} open files for it, and "
            f"{allowed} are allowed here; raise the container's ulimit nofile, or write MaxConnections = "
            f"{fitting}"
        )


def needed_files(config: HaproxyConfig) -> int:
    """How many HAProxy may hold open, a little more than it wants."""
    threads = config.worker_processes if isinstance(config.worker_processes, int) else processors()
    return 2 * (config.max_connections + OURS) + _BESIDES + _A_THREAD * threads


def try_raw_lines(config: HaproxyConfig, facts: Facts, part: Part, folder: Path, places: Places) -> None:
    """Have HAProxy read raw lines aside. Raises `ConfigError` that names the option whose lines it refuses."""
    for line in config.default_options:
        if line.split()[:1] == ["default-server"]:
            raise ConfigError(
                f"{places['DefaultOptions']}: {line!r} would not reach servers that are added while HAProxy runs; "
                "leave it out"
            )
    plain = msgspec.structs.replace(config, global_options=(), default_options=())
    for option, field in (("GlobalOptions", "global_options"), ("DefaultOptions", "default_options")):
        lines = getattr(config, field)
        if not lines:
            continue
        try:
            refusal = refusal_aside(part, folder, _main(msgspec.structs.replace(plain, **{field: lines}), facts))
            # What HAProxy refuses without them too is not their fault: the worker tells it, and adopts what runs.
            if refusal is None or refusal_aside(part, folder, _main(plain, facts)) is not None:
                continue
        except ProxyUnavailable as error:
            get_logger(service="extension", proxy="haproxy").warning("raw lines could not be tried", error=str(error))
            return
        shown = next((line for line in lines if line.split()[:1] and line.split()[0] in refusal.said), lines[0])
        raise ConfigError(
            f"{places[option]}: HAProxy refuses {shown!r}: {refusal.said}; correct the line or leave it out"
        )


def _main(config: HaproxyConfig, facts: Facts) -> dict[str, bytes]:
    return HaproxyRenderer(config, facts).shared(0, 0, default=False)
