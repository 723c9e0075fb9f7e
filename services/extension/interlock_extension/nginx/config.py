"""What an operator may say about nginx: Interlock's names (`[Extensions.X.Config]`) and its later defaults. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from interlock.errors import ConfigError

KEEPALIVE_MIN_TIMEOUT = "5s"
"""How long an idle connection outlives its worker's end, so that a client which is just sending does not meet a reset.

A request that comes in that time is handed over to the newest generation, so it does not delay letting an endpoint go;
what a longer time costs is old workers that stay for as long.
"""

CONNECT_TIMEOUT = "300ms"
"""Interlock's own default is 5 s. A node that is lost costs a request this for each of its endpoints that is tried,
until it is known to be silent, and three of them must cost less than a second. The price: a lost first packet, which
the kernel repeats after 1 s only, is an error where there is no other endpoint.
"""

_MOST_WORKERS = 256


class NginxConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", forbid_unknown_fields=True):
    """Options of the generated configuration. Timeouts `…Timeout: int` are seconds, strings are nginx's own times."""

    user: str = ""
    worker_processes: int = 1
    max_connections: int = 1024
    connect_timeout: int | str = CONNECT_TIMEOUT
    send_timeout: int = 600
    read_timeout: int = 600
    keepalive_timeout: str = "75s"
    keepalive_min_timeout: str = KEEPALIVE_MIN_TIMEOUT
    client_max_body_size: str = "32m"
    client_body_buffer_size: str = "8k"
    client_header_buffer_size: str = "1k"
    large_client_header_buffers: str = "4 8k"
    client_body_timeout: str = "60s"
    underscores_in_headers: bool = False
    hide_info_headers: bool = False
    upstream_zone_size: int = 64
    access_log_path: str = "/dev/stdout"
    error_log_path: str = "/dev/stdout"
    log_format: str = "main"


_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

LATER = frozenset(
    {
        "Version", "HTTPVersion", "PidPath", "IPHash", "AdminUser", "AdminPass", "SSLOpts", "SSLDefaultDHParam",
        "SSLDefaultDHParamPath", "SSLVerify", "RLimitNoFile", "SSLCiphers", "SSLProtocols", "ServerNamesHashBucketSize",
        "GlobalOptions", "HTTPOptions", "TCPOptions", "MainLogFormat", "TraceLogFormat",
    }
)  # fmt: skip
"""Interlock's names that this version takes without effect."""


def read_config(options: Mapping[str, object]) -> NginxConfig:
    """Options by Interlock's names, in any case, as a value. Raises `ConfigError` for a bad name or value."""
    spelling = {name.lower(): name for name in (*NginxConfig.__struct_encode_fields__, *LATER)}
    known = {spelling.get(name.lower(), name): value for name, value in options.items()}
    try:
        config = msgspec.convert({name: value for name, value in known.items() if name not in LATER}, NginxConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"nginx options: {error}; see the README of the extension for names and types") from error
    if config.log_format not in {"main", "trace"}:
        raise ConfigError(f"nginx option LogFormat: {config.log_format!r} is unknown; write main or trace")
    if not 1 <= config.worker_processes <= _MOST_WORKERS:
        raise ConfigError(f"nginx option WorkerProcesses: {config.worker_processes} is not within 1 to {_MOST_WORKERS}")
    return config


def seconds(time: str) -> float:
    """One of nginx's times, such as `75s`, in seconds. Raises `ConfigError`."""
    number = time.rstrip("hms")
    unit = time[len(number) :]
    if not (number.isascii() and number.isdigit() and unit in _SECONDS):
        raise ConfigError(f"{time!r} is not a time such as 75s or 600ms")
    return int(number) * _SECONDS[unit]
