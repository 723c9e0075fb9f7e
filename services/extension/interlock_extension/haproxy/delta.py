"""From what a host was to what it is, as runtime commands: nothing is reloaded. Pure.

New servers are added and ready before an entry points at them; an entry goes before its servers do. A server that is
left out goes into maintenance, where it gets no new request, and is deleted when its last one has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from interlock_extension.haproxy import escape
from interlock_extension.haproxy.routes import (
    COOKIES,
    FOLDER,
    HOSTS,
    ROUTES,
    SAID,
    WILDCARDS,
    Kind,
    Served,
    Server,
)
from interlock_extension.rendering.tokens import Token

_NEVER = 1000

MOST = 4_000
"""Commands that a change takes in place at most, where there are no more backends than that: about half a second.

That is what a reload costs with as many hosts as it takes to ask for so many; see `most`.
"""

STATE = "state.map"
VERSION = "version"
"""The map and its key that say what runs."""

RETIRED = "retired"
"""The key of that map by which an old worker hands every request to the newest."""


class AddServer(msgspec.Struct, frozen=True, kw_only=True):
    """A new server, which gets nothing until it is ready."""

    backend: str
    server: Server


class EnableChecks(msgspec.Struct, frozen=True, kw_only=True):
    """A server that has checks begins with them: HAProxy adds it without."""

    backend: str
    server: str


class SetState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a server gets requests."""

    backend: str
    server: str
    state: Literal["ready", "drain", "maint"]


class DelServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server in maintenance, for good. HAProxy refuses while it has connections."""

    backend: str
    server: str


class AddMap(msgspec.Struct, frozen=True, kw_only=True):
    """A new entry."""

    map: str
    key: str
    value: str


class SetMap(msgspec.Struct, frozen=True, kw_only=True):
    """Another value of an entry that is there."""

    map: str
    key: str
    value: str


class DelMap(msgspec.Struct, frozen=True, kw_only=True):
    """An entry, for good."""

    map: str
    key: str


Command = AddServer | EnableChecks | SetState | DelServer | AddMap | SetMap | DelMap


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What of a running HAProxy its files do not say.

    `configured`: backends of the files that it was started with. `free`: spare backends by kind. `taken`: the spare
    that stands for a symbol, for good: what one host's requests still try there must never meet another's servers.
    `cookies`: patterns that its map has. `leaving`: servers in maintenance (backend, name), to be deleted.
    """

    configured: frozenset[str] = frozenset()
    free: dict[Kind, tuple[str, ...]] = {}
    taken: dict[str, str] = {}
    cookies: frozenset[str] = frozenset()
    leaving: frozenset[tuple[str, str]] = frozenset()

    def name_of(self, symbol: str) -> str | None:
        """The backend that stands for a symbol; None where none does yet."""
        return symbol if symbol in self.configured else self.taken.get(symbol)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Commands, in their order, and what runs after them."""

    commands: tuple[Command, ...]
    running: Running


class NotInPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Only a reload does it; `reason` for people."""

    reason: str


def change(before: Served, after: Served, running: Running) -> Change | NotInPlace:
    """What brings a host from `before` (as it runs) to `after`; `NOTHING` where it is not served."""
    places = _places(after, running)
    if isinstance(places, NotInPlace):
        return places
    cookies = [each for each in map(escape.cookie_pattern, after.cookies) if each not in running.cookies]
    leaving = set(places.leaving)
    servers = list(_joining(before, after, places, leaving))
    named = list(_entries(before, after, running, places))
    departing = list(_departing(before, after, places))
    leaving |= {(each.backend, each.server) for each in departing}
    return Change(
        commands=(
            *servers,
            *(AddMap(map=COOKIES, key=pattern, value=SAID) for pattern in cookies),
            *named,
            *departing,
        ),
        running=msgspec.structs.replace(
            places, cookies=running.cookies.union(cookies) if cookies else running.cookies, leaving=frozenset(leaving)
        ),
    )


def most(running: Running) -> int:
    """From how many commands on a reload is quicker: it costs about as much as one for each backend."""
    return max(MOST, len(running.configured) + len(running.taken))


def to_delete(running: Running, most: int, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
    """So many of the servers that are leaving, at most: beginning `after` the one that was tried last."""
    return sorted(running.leaving, key=lambda server: (server <= after, server))[:most]


def deletions(servers: Iterable[tuple[str, str]]) -> tuple[Command, ...]:
    """What to try from time to time, until HAProxy has done it."""
    return tuple(
        command
        for backend, server in servers
        for command in (
            # Going into maintenance closes idle connections: those that have become idle since would keep it for good.
            SetState(backend=backend, server=server, state="drain"),
            SetState(backend=backend, server=server, state="maint"),
            DelServer(backend=backend, server=server),
        )
    )


def deleted(running: Running, command: Command) -> Running:
    """After HAProxy has done it."""
    if not isinstance(command, DelServer):
        return running
    return msgspec.structs.replace(running, leaving=running.leaving - {(command.backend, command.server)})


def version(note: str) -> SetMap:
    """What `/interlock/version` answers from now on."""
    return SetMap(map=STATE, key=VERSION, value=escape.text(note))


def retired() -> AddMap:
    """An old worker changes nothing from now on, and asks the newest."""
    return AddMap(map=STATE, key=RETIRED, value=RETIRED)


def written(command: Command) -> Token:
    """A command as HAProxy's runtime API reads it, without its end of line."""
    match command:
        case AddServer(backend=backend, server=server):
            said = f"add server {_server(backend, server.name)} {written_server(server)}"
        case EnableChecks(backend=backend, server=name):
            said = f"enable health {_server(backend, name)}"
        case SetState(backend=backend, server=name, state=state):
            said = f"set server {_server(backend, name)} state {state}"
        case DelServer(backend=backend, server=name):
            said = f"del server {_server(backend, name)}"
        case AddMap(map=name, key=key, value=value):
            said = f"add map {_map(name)} {escape.word(key)} {escape.word(value)}"
        case SetMap(map=name, key=key, value=value):
            said = f"set map {_map(name)} {escape.word(key)} {escape.word(value)}"
        case DelMap(map=name, key=key):
            said = f"del map {_map(name)} {escape.word(key)}"
    return Token(said)


def written_server(server: Server) -> Token:
    """What follows a server's name, in files and in commands alike."""
    said = f"{escape.word(server.address)} id {server.number:d}"
    if server.checks:
        # HAProxy counts no attempt that it makes good elsewhere, and so only connections that were not accepted.
        observed = f"observe layer4 error-limit {server.checks.errors:d} on-error mark-down"
        # One that accepts is up again; only what requests meet takes it down.
        said += f" check {observed} inter {server.checks.every:d}s rise 1 fall {_NEVER}"
    return Token(said)


def _server(backend: str, name: str) -> str:
    return f"{escape.identifier(backend)}/{escape.word(name)}"


def _map(name: str) -> str:
    return escape.word(f"{FOLDER}/{name}")


def _places(after: Served, running: Running) -> Running | NotInPlace:
    """`running` with a place for each backend."""
    new = [backend for backend in after.backends.values() if running.name_of(backend.symbol) is None]
    if not new:
        return running
    free, taken = dict(running.free), dict(running.taken)
    for backend in new:
        spares = free.get(backend.kind, ())
        if not spares:
            return NotInPlace(reason=f"no spare backend of the kind {backend.kind} is left for {backend.symbol}")
        taken[backend.symbol], free[backend.kind] = spares[0], spares[1:]
    return msgspec.structs.replace(running, free=free, taken=taken)


def _joining(before: Served, after: Served, places: Running, leaving: set[tuple[str, str]]) -> Iterator[Command]:
    for symbol, backend in after.backends.items():
        name = places.name_of(symbol) or ""
        old = before.backends[symbol].servers if symbol in before.backends else {}
        for server in backend.servers.values():
            if server.name in old:
                continue
            if (name, server.name) in leaving:
                leaving.discard((name, server.name))
            else:
                yield AddServer(backend=name, server=server)
                if server.checks:
                    yield EnableChecks(backend=name, server=server.name)
            yield SetState(backend=name, server=server.name, state="ready")


def _departing(before: Served, after: Served, places: Running) -> Iterator[SetState]:
    for symbol, backend in before.backends.items():
        new = after.backends[symbol].servers if symbol in after.backends else {}
        for server in backend.servers:
            if server not in new:
                yield SetState(backend=places.name_of(symbol) or symbol, server=server, state="maint")


def _entries(before: Served, after: Served, running: Running, places: Running) -> Iterator[Command]:
    """Routes before the claim that leads to them; a claim goes before its routes."""
    for maps in ((ROUTES,), (HOSTS, WILDCARDS)):
        for (map_, key), value in after.entries.items():
            if map_ not in maps:
                continue
            new = value.named(places.name_of(value.symbol) or "")
            if (map_, key) not in before.entries:
                yield AddMap(map=map_, key=key, value=new)
            else:
                old = before.entries[map_, key]
                if new != old.named(running.name_of(old.symbol) or ""):
                    yield SetMap(map=map_, key=key, value=new)
    for maps in ((HOSTS, WILDCARDS), (ROUTES,)):
        for map_, key in before.entries:
            if map_ in maps and (map_, key) not in after.entries:
                yield DelMap(map=map_, key=key)
