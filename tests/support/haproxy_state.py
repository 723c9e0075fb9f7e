"""What a running HAProxy does, by its runtime API: comparable over restarts, after which spares have other names."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from interlock_extension.haproxy.render import RUNTIME_SOCKET
from interlock_extension.haproxy.routes import COOKIES, HOSTS, NOBODY, ROUTES, WILDCARDS

_MAINTENANCE = 1


class Backend(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """How it chooses, and its servers that get requests: (name, address, place on the ring)."""

    hashed: bool
    servers: tuple[tuple[str, str, int], ...]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of the maps by key. `routes`: with the backend's meaning in place of its name.

    `cookies`: patterns; a running HAProxy keeps those that nobody uses any more, so they are not compared.
    """

    hosts: dict[str, str]
    wildcards: dict[str, str]
    routes: dict[str, tuple[Backend | None, str]]
    cookies: frozenset[str]

    @property
    def meaning(self) -> tuple[object, ...]:
        """What must be the same after a restart."""
        return (self.hosts, self.wildcards, self.routes)


def state_of(folder: Path) -> State:
    """Of the HAProxy in this folder. Raises OSError where it does not answer."""
    backends = _backends(_ask(folder, "show servers state"))
    routes = {}
    for key, value in _map(folder, ROUTES).items():
        name, _, rest = value.partition("|")
        routes[key] = (None if name == NOBODY else backends.get(name, _empty(name)), rest)
    return State(
        hosts=_map(folder, HOSTS),
        wildcards=_map(folder, WILDCARDS),
        routes=routes,
        cookies=frozenset(_map(folder, COOKIES)),
    )


def _backends(said: str) -> dict[str, Backend]:
    found: dict[str, list[tuple[str, str, int]]] = {}
    names: list[str] = []
    for line in said.splitlines():
        if line.startswith("# "):
            names = line.removeprefix("# ").split()
        elif names and line:
            each = dict(zip(names, line.split(), strict=False))
            servers = found.setdefault(each["be_name"], [])
            if not int(each["srv_admin_state"]) & _MAINTENANCE:
                place = f"{each['srv_addr']}:{each['srv_port']}"
                servers.append((each["srv_name"], place, int(each["srv_id"])))
    return {
        name: Backend(hashed=_empty(name).hashed, servers=tuple(sorted(servers))) for name, servers in found.items()
    }


def _empty(name: str) -> Backend:
    return Backend(hashed=name.startswith(("hash_", "spare_hash_")), servers=())


def _map(folder: Path, name: str) -> dict[str, str]:
    lines = _ask(folder, f"show map maps/{name}").splitlines()
    entries = [line.split(" ", 2)[1:] for line in lines if line]
    assert len({entry[0] for entry in entries}) == len(entries), f"{name} has a key twice: {entries}"
    return {entry[0]: entry[1] for entry in entries}


def _ask(folder: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(5)
        link.connect(str(folder / RUNTIME_SOCKET))
        link.sendall(f"{command}\n".encode())
        link.shutdown(socket.SHUT_WR)
        said = b""
        while piece := link.recv(65_536):
            said += piece
        return said.decode()
