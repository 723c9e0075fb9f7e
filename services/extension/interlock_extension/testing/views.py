"""Virtual hosts to serve, as a plan would give them to an extension. Pure."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from interlock.model.names import upstream_name
from interlock.model.routing import Endpoint, HostRedirect, Route, Upstream, VirtualHost
from interlock_extension.port import HostView


class Task(Protocol):
    """What an endpoint is made of; a `Backend` is one."""

    name: str
    port: int


def endpoint(task: Task, address: str = "127.0.0.1") -> Endpoint:
    """The task as an endpoint."""
    return Endpoint(address=address, port=task.port, task=f"{task.name}-{address}", service_id="id", service="service")


def served(host: str, *tasks: Task, path: str = "/", **policy: Any) -> HostView:
    """A host whose one path leads to these tasks, and answers 503 without any. `policy`: more fields of its `Route`."""
    name = upstream_name(host, path)
    endpoints = tuple(sorted((endpoint(task) for task in tasks), key=lambda each: each.task))
    upstreams = (Upstream(name=name, endpoints=endpoints),) if endpoints else ()
    route = Route(path=path, upstream=name, services=("service",), **policy)
    return HostView(host=VirtualHost(host=host, routes=(route,)), upstreams=upstreams)


def joined(*views: HostView) -> HostView:
    """One host with the paths of all of these views of it."""
    routes = sorted(
        (route for view in views for route in view.host.routes), key=lambda each: (-len(each.path), each.path)
    )
    upstreams = {upstream.name: upstream for view in views for upstream in view.upstreams}
    host = msgspec.structs.replace(views[0].host, routes=tuple(routes))
    return HostView(host=host, upstreams=tuple(upstreams[r.upstream] for r in routes if r.upstream in upstreams))


def redirected(host: str, target: str) -> HostView:
    """A host that sends its clients to `target`, a scheme and an authority."""
    redirect = HostRedirect(target=target, service="service", service_id="id")
    return HostView(host=VirtualHost(host=host, redirect=redirect))
