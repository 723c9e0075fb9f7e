"""Views to fragments of an AS3 declaration, one for each virtual host, as JSON. Pure.

A fragment is what its host adds to the tenant: its pools, and its rules of the tenant's policy, in order. Classes and
properties are those of F5's "AS3 Schema Reference": Pool, Endpoint_Policy_Rule with the conditions `httpHost` and
`httpUri` and the actions `forward`, `httpRedirect`, `persist` and `drop`. No value is written before it was found to be
of the plain kind that it should be: texts that begin with `tcl:` are programs to the device.
"""

from __future__ import annotations

import ipaddress
import json
import re
from hashlib import blake2s
from typing import Any

from interlock.errors import ConfigRejected
from interlock.model.routing import DEFAULT_HOST, Route, Upstream, unserved
from interlock_extension.port import HostView
from interlock_f5.options import F5Options

SERVICE = "service.json"
PERSIST_TIMEOUT = 3600
"""Seconds for which the device remembers where a client, or a cookie, belongs."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_PATH = re.compile(r"/[A-Za-z0-9._~!&'()*+,;=:@%/-]*")
_TARGET = re.compile(rf"https?://{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?(?:/[A-Za-z0-9._~!+=:@/-]*)?")
_COOKIE = re.compile(r"[A-Za-z0-9!#%&'*+.^_`|~-]{1,128}")
_UPSTREAM = re.compile(r"[a-z0-9_]{1,120}")
_PLAIN = re.compile(r"[^a-z0-9]+")


class F5Renderer:
    """Renders for one tenant. The same values give the same bytes."""

    def __init__(self, options: F5Options, tenant: str) -> None:
        self._options = options
        self._tenant = tenant

    def file_of(self, host: str) -> str:
        """`hosts/<application>.json`."""
        return f"hosts/{application(host)}.json"

    def host(self, view: HostView) -> bytes:
        """The fragment of one virtual host. Raises `ConfigRejected` that names it."""
        name = view.host.host
        try:
            served = {upstream.name for upstream in view.upstreams}
            pools = {pool_name(upstream.name): self._pool(upstream) for upstream in view.upstreams}
            rules = [rule for route in view.host.routes for rule in self._rules(name, route, served)]
            if view.host.redirect is not None:
                rules = [{"conditions": _host_is(name), "actions": [_redirect(view.host.redirect.target)]}]
        except ConfigRejected as error:
            raise ConfigRejected(f"host {name}: {error}", culprit=self.file_of(name)) from error
        app = application(name)
        named = [{"name": f"{app}.{number}", **rule} for number, rule in enumerate(rules)]
        return canonical({"host": name, "pools": pools, "rules": named, "ignored": _ignored(view)})

    def unserved(self, host: str) -> bytes:
        """See `Renderer.unserved`: a policy of the device has no answer of its own, so the connection is reset."""
        return self.host(HostView(host=unserved(host)))

    def shared(self, hosts: int, longest: int, *, default: bool) -> dict[str, bytes]:  # noqa: ARG002  # the port's
        """Where the device serves: it depends on no host."""
        virtual = {"addresses": list(self._options.virtual_addresses), "port": self._options.virtual_port}
        return {SERVICE: canonical(virtual)}

    def _pool(self, upstream: Upstream) -> dict[str, Any]:
        by_port: dict[int, set[str]] = {}
        for endpoint in upstream.endpoints:
            try:
                address = str(ipaddress.ip_address(endpoint.address))
            except ValueError as error:
                raise ConfigRejected(f"address {endpoint.address!r}: {error}") from error
            by_port.setdefault(endpoint.port, set()).add(address)
        members = [
            # Tasks of one node share its address, and so do tenants.
            {"servicePort": port, "serverAddresses": sorted(by_port[port]), "shareNodes": True}
            for port in sorted(by_port)
        ]
        return {"class": "Pool", "members": members, "monitors": list(self._options.monitors)}

    def _rules(self, host: str, route: Route, served: set[str]) -> list[dict[str, Any]]:
        path = route.path.rstrip("/")
        if not _PATH.fullmatch(route.path):
            raise ConfigRejected(f"path {route.path[:100]!r} cannot be written")
        if path and route.rewrite:
            raise ConfigRejected(
                f"path {path}: context_root_rewrite is not built for F5; leave it out, or serve {path}"
            )
        actions = self._actions(host, route) if route.upstream in served else [_DROP]
        matches = [("equals", path), ("starts-with", f"{path}/")] if path else [("", "")]
        return [{"conditions": [*_host_is(host), *_path(*match)], "actions": actions} for match in matches]

    def _actions(self, host: str, route: Route) -> list[dict[str, Any]]:
        where = f"/{self._tenant}/{application(host)}/{pool_name(route.upstream)}"
        actions: list[dict[str, Any]] = [{"type": "forward", "event": "request", "select": {"pool": {"use": where}}}]
        if route.sticky_cookie:
            if not _COOKIE.fullmatch(route.sticky_cookie):
                raise ConfigRejected(f"cookie {route.sticky_cookie[:100]!r} cannot be written")
            kept = {"name": route.sticky_cookie, "offset": 0, "length": 0, "timeout": PERSIST_TIMEOUT}
            actions.append({"type": "persist", "event": "request", "cookieHash": kept})
        elif route.ip_hash:
            kept = {"netmask": "255.255.255.255", "timeout": PERSIST_TIMEOUT}
            actions.append({"type": "persist", "event": "request", "sourceAddress": kept})
        return actions


_DROP = {"type": "drop", "event": "request"}


def application(host: str) -> str:
    """The name of a host's application in its tenant: readable, unique, a letter first."""
    digest = blake2s(host.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"h_{_PLAIN.sub('_', host.lower()).strip('_')[:80] or 'default'}_{digest}"


def pool_name(upstream: str) -> str:
    """The name of an upstream's pool: a letter first. Raises `ConfigRejected`."""
    if not _UPSTREAM.fullmatch(upstream):
        raise ConfigRejected(f"upstream {upstream[:100]!r} cannot be written")
    return f"p_{upstream}"


def canonical(value: object) -> bytes:
    """JSON of which the same value always gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _host_is(host: str) -> list[dict[str, Any]]:
    """Of the Host header without its port, in any case, with or without the dot at its end."""
    if host == DEFAULT_HOST:
        return []
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ConfigRejected(f"host name {host[:100]!r} cannot be written")
    operand, name = ("ends-with", host[1:]) if host.startswith("*.") else ("equals", host)
    compare = {"operand": operand, "values": [name, f"{name}."], "caseSensitive": False}
    return [{"type": "httpHost", "event": "request", "host": compare}]


def _path(operand: str, value: str) -> list[dict[str, Any]]:
    if not operand:
        return []
    compare = {"operand": operand, "values": [value], "caseSensitive": True}
    return [{"type": "httpUri", "event": "request", "path": compare}]


def _redirect(target: str) -> dict[str, Any]:
    if not _TARGET.fullmatch(target):
        raise ConfigRejected(f"redirect to {target[:100]!r} cannot be written")
    return {"type": "httpRedirect", "event": "request", "location": f"tcl:{target}[HTTP::uri]", "code": 302}


def _ignored(view: HostView) -> list[str]:
    """What labels ask for and F5 does not do here, for people."""
    found = set()
    for route in view.host.routes:
        if route.passive:
            found.add(f"{route.path}: max_fails and fail_timeout; the device's monitors take members out")
        if route.websockets:
            found.add(f"{route.path}: websocket_endpoints; the device lets every connection be upgraded")
    return sorted(found)
