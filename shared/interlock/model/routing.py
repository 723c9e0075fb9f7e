"""What a proxy needs: virtual hosts with routes, upstreams with endpoints. Proxy-neutral, sorted once, deterministic.

Written by the planner, read by extensions. A plan travels as one field per virtual host, upstream and service with
problems (see `interlock.bus.keys`), so that an update costs what changed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from interlock.model.names import upstream_name
from interlock.model.problem import Problem

DEFAULT_HOST = "_"
"""The name of the virtual host that answers every host which nobody claims (`default_backend`)."""

VIP = "vip"
"""What stands in the place of a task's id where the address is a service's virtual IP."""

BackendMode = Literal["task", "vip"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One address and port that serves. `task` is the task's id, or `VIP` for a service's virtual IP.

    `draining_since`: Unix seconds since when Swarm has shown that it will stop the task; None while it is wanted. A
    draining endpoint gets no new request unless it is the last one of its upstream that accepts connections.
    `network`: the name of the network that the address is on, which proxies must share; empty where it is on none.
    """

    address: str
    port: int
    task: str
    service_id: str
    service: str
    draining_since: float | None = None
    network: str = ""

    @property
    def draining(self) -> bool:
        return self.draining_since is not None


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """The named group of endpoints behind a route, sorted by (service, task)."""

    name: str
    endpoints: tuple[Endpoint, ...] = ()


class PassiveChecks(msgspec.Struct, frozen=True, kw_only=True):
    """When an endpoint that fails gets no requests for a while; None where the proxy's own value applies.

    After `max_fails` failed attempts within `fail_timeout` (seconds), for as long; 0 for never.
    """

    max_fails: int | None = None
    fail_timeout: int | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Match a path prefix on whole segments: `/app` matches `/app` and `/app/x`, never `/apple`.

    `rewrite`: the prefix is taken off before the request goes to the upstream, and the bare prefix is redirected to
    itself with a slash. `websockets`: absolute paths below which a connection may be upgraded.
    `sticky_cookie`: requests with the same value of this cookie go to the same endpoint; before `ip_hash`, by which
    those of one client do. `passive`: for the services (by id) that say so.
    """

    path: str = "/"
    rewrite: bool = False
    upstream: str
    services: tuple[str, ...] = ()
    websockets: tuple[str, ...] = ()
    sticky_cookie: str = ""
    ip_hash: bool = False
    passive: dict[str, PassiveChecks] = {}


class HostRedirect(msgspec.Struct, frozen=True, kw_only=True):
    """Every request is answered with 302 to `target` (scheme and authority) and the path and query asked for."""

    target: str
    service: str
    service_id: str


class VirtualHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host name (lower case, IDNA; `DEFAULT_HOST` for the catch-all) with its routes, longest path first.

    With a redirect there are no routes.
    """

    host: str
    routes: tuple[Route, ...] = ()
    redirect: HostRedirect | None = None


def unserved(host: str, services: tuple[str, ...] = ()) -> VirtualHost:
    """A host that is claimed and answers 503: its only route leads to an upstream that has no endpoint."""
    return VirtualHost(host=host, routes=(Route(upstream=upstream_name(host), services=services),))


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one service cluster must serve. Keys: host, upstream name, service id."""

    hosts: dict[str, VirtualHost] = {}
    upstreams: dict[str, Upstream] = {}
    problems: dict[str, tuple[Problem, ...]] = {}


class PlanDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of two plans; None means removed."""

    hosts: dict[str, VirtualHost | None] = {}
    upstreams: dict[str, Upstream | None] = {}
    problems: dict[str, tuple[Problem, ...] | None] = {}

    def __bool__(self) -> bool:
        return bool(self.hosts or self.upstreams or self.problems)
