"""What one virtual host means for HAProxy: entries of maps, and backends with their servers. Pure.

Files (`render`) and runtime commands (`delta`) are made from this one value, so that run and disk cannot differ.

- `hosts.map`: host -> its own name, or the target of its redirect. `_` is the default host.
- `wildcards.map`: what follows `*.` -> `*.…`, or the target of a redirect.
- `routes.map`: name, path and a slash -> `<backend>` or `<backend>|<flags>|<key>`; `503` where no endpoint is usable.
  An entry is a location of nginx: the longest one counts. Flags: `u.` an upgrade may pass; `s1.`, `s2.`, `s4.`, …
  segments of the path that are taken off, by powers of two. Key, by which a server is chosen: `src` or a cookie's id.
- `cookies.map`: regular expression of a cookie -> its value.

All of a route is in one entry: one command changes it, and no request meets half of a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2s
from typing import Literal

import msgspec

from interlock.model.routing import DEFAULT_HOST, VIP, Endpoint, PassiveChecks, Route, Upstream
from interlock_extension.haproxy import escape
from interlock_extension.port import HostView
from interlock_extension.rendering.hosts import naming
from interlock_extension.rendering.tokens import Token

Kind = Literal["rr", "hash"]
KINDS: tuple[Kind, ...] = ("rr", "hash")

HOSTS, WILDCARDS, ROUTES, COOKIES = "hosts.map", "wildcards.map", "routes.map", "cookies.map"
MAPS = (HOSTS, WILDCARDS, ROUTES, COOKIES)

FOLDER = "maps"
"""Where the maps are, from HAProxy's working directory: their names at runtime are those of the configuration."""

NOBODY = "503"
"""In place of a backend: the path is claimed, and answers 503."""

STRIPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Segments that one rule of the frontend takes off. Together 511: no path has more that fits into a key (`escape`)."""

SAID = r"\2"
"""The value of a cookie's entry: the group of its expression that holds what the client said."""

_NUMBERS = 2**31 - 1
_MAX_FAILS, _FAIL_TIMEOUT = 1, 10


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """A server that failed `errors` times in a row gets nothing until it accepts again, asked every `every` seconds."""

    errors: int
    every: int


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint. `name` says which, where and how: two of one name are the same. `number`: its place on the ring."""

    name: Token
    address: Token
    number: int
    checks: Checks | None = None


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """The servers of an upstream. `symbol`: its name in files; at runtime a spare may stand for it."""

    symbol: Token
    kind: Kind
    servers: dict[str, Server] = {}


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """The value of an entry: the backend that `symbol` stands for, if any, and `text`."""

    symbol: str = ""
    text: str = ""

    def named(self, backend: str) -> Token:
        """The value, with the name that the backend has."""
        return escape.text(f"{backend if self.symbol else ''}{self.text}")


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A host. `entries`: by map and key, in the order of the policy. `cookies`: names whose values choose servers."""

    entries: dict[tuple[str, str], Value] = {}
    backends: dict[str, Backend] = {}
    cookies: tuple[str, ...] = ()


NOTHING = Served()
"""A host that is not served."""


def served(view: HostView, *, ip_hash: bool = False) -> Served:
    """What a host means; `ip_hash` for every route without a cookie. Raises `ConfigRejected` that names the host."""
    with naming(view.host.host):
        return _served(view, ip_hash=ip_hash)


def _served(view: HostView, *, ip_hash: bool) -> Served:
    name = view.host.host
    site = Token(DEFAULT_HOST) if name == DEFAULT_HOST else escape.host(name)
    claim: tuple[str, str] = (WILDCARDS, site[2:]) if site.startswith("*.") else (HOSTS, site)
    if view.host.redirect:
        return Served(entries={claim: Value(text=escape.redirect(view.host.redirect.target))})
    policies = {route.upstream: route for route in view.host.routes}
    backends: dict[str, Backend] = {}
    symbols: dict[str, str] = {}
    for upstream in view.upstreams:
        policy = policies.get(upstream.name)
        if policy is not None and upstream.endpoints:
            kind: Kind = "hash" if _key(policy, ip_hash=ip_hash) else "rr"
            backend = _backend(upstream, kind, policy.passive)
            backends[backend.symbol] = backend
            symbols[upstream.name] = backend.symbol
    entries = {claim: Value(text=site)}
    paths = {route.path for route in view.host.routes}
    for route in view.host.routes:
        key = _key(route, ip_hash=ip_hash)
        # A path that is another service's is that service's.
        for path in [path for path in route.websockets if path not in paths] + [route.path]:
            upgrade = path in route.websockets
            value = _value(route, path, symbols, key, upgrade=upgrade)
            entries.setdefault((ROUTES, escape.key(f"{site}{_prefix(path)}")), value)
    used = (r for r in view.host.routes if r.sticky_cookie and r.upstream in symbols)
    cookies = tuple(dict.fromkeys(route.sticky_cookie for route in used))
    return Served(entries=entries, backends=backends, cookies=cookies)


def _prefix(path: str) -> str:
    return escape.path(f"{path.rstrip('/')}/")


def _key(route: Route, *, ip_hash: bool) -> str:
    if route.sticky_cookie:
        return escape.cookie_id(route.sticky_cookie)
    return "src" if ip_hash or route.ip_hash else ""


def _value(route: Route, path: str, symbols: Mapping[str, str], key: str, *, upgrade: bool) -> Value:
    if route.upstream not in symbols:
        return Value(text=NOBODY)
    flags = (["u"] if upgrade else []) + (_strips(path) if route.rewrite else [])
    more = f"|{''.join(f'{flag}.' for flag in flags)}|{key}" if flags or key else ""
    return Value(symbol=symbols[route.upstream], text=more)


def _strips(path: str) -> list[str]:
    count = len([segment for segment in path.split("/") if segment])
    return [f"s{bit}" for bit in STRIPS if count & bit]


def _backend(upstream: Upstream, kind: Kind, passive: Mapping[str, PassiveChecks]) -> Backend:
    # The kind is part of the name: a route whose kind changes moves to another backend, which is done in place.
    symbol = escape.identifier(f"{kind}_{upstream.name}")
    found: dict[str, Endpoint] = {}
    for endpoint in upstream.endpoints:
        found.setdefault(escape.address(endpoint.address, endpoint.port), endpoint)
    servers: dict[str, Server] = {}
    numbers: set[int] = set()
    for place, endpoint in sorted(found.items()):
        # As with nginx, nobody is left out where nobody else could answer.
        checks = _checks(passive.get(endpoint.service_id)) if len(found) > 1 else None
        kind_of, owner = ("vip", endpoint.service_id) if endpoint.task == VIP else ("t", endpoint.task)
        how = f"\n{checks.errors} {checks.every}" if checks else ""
        name = escape.server(kind_of, owner, place, how)
        number = _number(name)
        while number in numbers:
            number = number % _NUMBERS + 1
        numbers.add(number)
        servers[name] = Server(name=name, address=Token(place), number=number, checks=checks)
    return Backend(symbol=symbol, kind=kind, servers=servers)


def _checks(passive: PassiveChecks | None) -> Checks | None:
    """With nginx's own values where a label leaves one out; never, where it says 0."""
    if passive is None or passive.max_fails == 0 or passive.fail_timeout == 0:
        return None
    return Checks(
        errors=_MAX_FAILS if passive.max_fails is None else passive.max_fails,
        every=_FAIL_TIMEOUT if passive.fail_timeout is None else passive.fail_timeout,
    )


def _number(name: str) -> int:
    """From the name alone: a restart moves no session, and an address that another task has now is another's."""
    return int.from_bytes(blake2s(name.encode(), digest_size=8).digest(), "big") % _NUMBERS + 1
