"""What an operator may say about nginx: the registry's keys (`interlock.config.nginx`) as a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from interlock.config.nginx import NGINX
from interlock_extension.options import read_option

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


class NginxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the generated configuration. `…_timeout: int` are seconds, strings are nginx's own times and sizes.

    `…_options`: raw lines. `…_log_format`: a raw fragment with its semicolon; empty for the built-in one.
    """

    http_version: str = "1.1"
    user: str = ""
    pid_path: str = ""
    worker_processes: int | str = 1
    rlimit_nofile: int = 65535
    max_connections: int = 1024
    connect_timeout: str = CONNECT_TIMEOUT
    send_timeout: int = 600
    read_timeout: int = 600
    ip_hash: bool = False
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
    server_names_hash_bucket_size: int = 128
    global_options: tuple[str, ...] = ()
    http_options: tuple[str, ...] = ()
    tcp_options: tuple[str, ...] = ()
    access_log_path: str = "/dev/stdout"
    error_log_path: str = "/dev/stdout"
    log_format: str = "main"
    main_log_format: str = ""
    trace_log_format: str = ""


_FIELDS = {name.replace("_", ""): name for name in NginxConfig.__struct_fields__}


def read_config(options: Mapping[str, object], places: Mapping[str, str] | None = None) -> NginxConfig:
    """Options by Interlock's names, in any case, as a value. Raises `ConfigError` for a bad name or value.

    `places`: where they were said; of the command line where nothing is known.
    """
    found: dict[str, object] = {}
    for name, value in options.items():
        place = (places or {}).get(name) or f"nginx option {name}"
        read = read_option(name, value, place, section=NGINX, known="`interlock config keys` lists them")
        if name.lower() in _FIELDS:
            found[_FIELDS[name.lower()]] = read
    if not found.get("http_version", "1.1"):
        del found["http_version"]
    return msgspec.convert(found, NginxConfig)
