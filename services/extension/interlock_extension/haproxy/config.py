"""What an operator may say about HAProxy: the registry's keys (`interlock.config.haproxy`) as a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from interlock.config.haproxy import HAPROXY
from interlock_extension.options import read_option


class HaproxyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the generated configuration. `…_timeout: int` are seconds, strings are times and sizes as nginx's."""

    max_connections: int = 1024
    connect_timeout: str = "300ms"
    client_timeout: int = 600
    server_timeout: int = 600
    keepalive_timeout: str = "75s"
    client_max_body_size: str = "32m"
    ip_hash: bool = False
    hide_info_headers: bool = False
    underscores_in_headers: bool = False
    worker_processes: int | str = "auto"
    access_log_path: str = "/dev/stdout"
    global_options: tuple[str, ...] = ()
    default_options: tuple[str, ...] = ()
    pid_path: str = ""


_FIELDS = {name.replace("_", ""): name for name in HaproxyConfig.__struct_fields__}
_KNOWN = f"HAProxy has {', '.join(key.name for key in HAPROXY.keys)}"


def read_config(options: Mapping[str, object], places: Mapping[str, str] | None = None) -> HaproxyConfig:
    """Options by Interlock's names, in any case, as a value. Raises `ConfigError` for a bad name or value.

    `places`: where they were said; of the command line where nothing is known.
    """
    found: dict[str, object] = {}
    for name, value in options.items():
        place = (places or {}).get(name) or f"HAProxy option {name}"
        read = read_option(name, value, place, section=HAPROXY, known=_KNOWN)
        if name.lower() in _FIELDS:
            found[_FIELDS[name.lower()]] = read
    return msgspec.convert(found, HaproxyConfig)
