"""What one service asks for with its labels: values only, filled in by `reading`."""

from __future__ import annotations

import msgspec

from interlock.model.routing import BackendMode


class Redirect(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Requests for the host `source` are sent to `target`: scheme, authority, and a path or none."""

    source: str
    target: str


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """What a service asks for. `hosts` is sorted; `network` is empty where the label is absent; `context_root` is `/`
    for the whole host. `max_fails` (a count) and `fail_timeout` (seconds) are None where the proxy's own apply."""

    hosts: tuple[str, ...]
    port: int
    network: str = ""
    service_cluster: str = ""
    context_root: str = "/"
    rewrite: bool = False
    default_backend: bool = False
    backend_mode: BackendMode = "task"
    websockets: tuple[str, ...] = ()
    sticky_cookie: str = ""
    ip_hash: bool = False
    redirects: tuple[Redirect, ...] = ()
    max_fails: int | None = None
    fail_timeout: int | None = None
