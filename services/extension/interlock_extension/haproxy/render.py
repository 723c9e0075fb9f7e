"""Views to HAProxy's files: one per virtual host, and the few that belong to none. Pure.

HAProxy is started in its folder with `-f haproxy.cfg -f backends.cfg`. The latter and the maps are not rendered:
`compose` makes them of the host files and the comments in those, at every start and reload, so that a change writes
one host's file only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import jinja2
import msgspec

from interlock.config.kinds import size
from interlock.model.routing import unserved
from interlock_extension.haproxy import delta, escape, routes
from interlock_extension.haproxy.config import HaproxyConfig
from interlock_extension.haproxy.delta import Running
from interlock_extension.haproxy.routes import Kind, Served
from interlock_extension.port import HostView
from interlock_extension.rendering.hosts import file_stem
from interlock_extension.rendering.tokens import Token, strict_environment

MAIN = "haproxy.cfg"
PAGE = "503.html"
BACKENDS = "backends.cfg"
"""All host files in one: with thousands of files HAProxy cannot start itself anew, as it does at each reload."""

HOSTS = "hosts"
RUNTIME_SOCKET = "runtime.sock"
STATUS_SOCKET = "status.sock"
HANDOVER_SOCKET = "handover.sock"
OURS = 64
"""Connections besides those of clients: whoever asks what runs is answered when MaxConnections are used up, too."""

LOGS = {"/dev/stdout": 3, "/dev/stderr": 4}
"""File descriptors, which are ours: quiet as it is, HAProxy lets go of the usual ones."""

_LABELS = range(2, 34)
"""A wildcard is found below as many labels as these rules take off, and no deeper."""

_LABEL, _BRACKETED = "[!$--0-9;=A-Z_a-z~]", "[!$&--0-;=A-Z_a-z~]"
_PORT = "[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_HOST = f"^([.]?({_LABEL}+[.])*{_LABEL}+[.]?|[[][.]?({_BRACKETED}+[.])*{_BRACKETED}*[]])(:(0*({_PORT}))?)?$"
"""A regular expression of POSIX, since not every HAProxy is built with PCRE. No text makes it try long."""

_LEAST_SPARES, _MOST_SPARES = 64, 1024
_BACKEND = re.compile(r"^backend (\S+)$", re.MULTILINE)
_ENTRY = re.compile(r"^#map (\S+) (\S+) (.*)$", re.MULTILINE)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What rendering needs to know besides the options.

    `listen`: `port` or `address:port`. `user`: user and group of HAProxy's workers, None where it stays who starts it.
    """

    listen: tuple[str, ...]
    proxy_id: str
    server_info: str
    user: tuple[str, str] | None = None


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """What HAProxy starts with. `files`: to be written beside those rendered; `running`: for `delta.change`."""

    files: dict[str, bytes]
    running: Running


class HaproxyRenderer:
    """Renders for one HAProxy. The same values give the same bytes."""

    def __init__(self, config: HaproxyConfig, facts: Facts) -> None:
        self._config, self._facts = config, facts
        loader = jinja2.PackageLoader("interlock_extension.haproxy")
        environment = strict_environment(loader)
        self._main = environment.get_template("haproxy.cfg.j2")
        self._host = environment.get_template("host.cfg.j2")
        source, _, _ = loader.get_source(environment, PAGE)
        self._page = source.encode()
        self._mains: dict[int, bytes] = {}

    @property
    def most_connections(self) -> int:
        """That clients may have at a time."""
        return self._config.max_connections

    def file_of(self, host: str) -> str:
        """`hosts/<host>.cfg`; names that are no file names become a digest, `*.` becomes `_wild.`."""
        return f"{HOSTS}/{file_stem(host)}.cfg"

    def served(self, view: HostView) -> Served:
        """What both its file and its commands are made from. Raises `ConfigRejected` that names it."""
        return routes.served(view, ip_hash=self._config.ip_hash)

    def host(self, view: HostView) -> bytes:
        """The backends and the entries of one virtual host. Raises `ConfigRejected` that names it."""
        return self.written(self.served(view))

    def written(self, served: Served) -> bytes:
        """The same for what `served` gave."""
        entries = [(map_, key, value.named(value.symbol)) for (map_, key), value in served.entries.items()]
        entries += [(routes.COOKIES, escape.cookie_pattern(name), Token(routes.SAID)) for name in served.cookies]
        text = self._host.render(
            backends=[
                {
                    "symbol": each.symbol,
                    "hashed": each.kind == "hash",
                    "servers": [
                        {"name": server.name, "written": delta.written_server(server)}
                        for server in each.servers.values()
                    ],
                }
                for each in served.backends.values()
            ],
            entries=[
                {"map": escape.key(map_), "key": escape.key(key), "value": escape.text(value)}
                for map_, key, value in entries
            ],
        )
        return text.encode()

    def unserved(self, host: str) -> bytes:
        """See `Renderer.unserved`."""
        return self.host(HostView(host=unserved(host)))

    def shared(self, hosts: int, longest: int, *, default: bool) -> dict[str, bytes]:
        """The main file and the page for 503. They change only when the number of hosts crosses a power of two."""
        del longest, default
        number = spares(hosts)
        if number not in self._mains:
            # Asked for at every change, and as long as the spares are many.
            self._mains[number] = self._main_with(number)
        return {MAIN: self._mains[number], PAGE: self._page}

    def _main_with(self, number: int) -> bytes:
        config = self._config
        text = self._main.render(
            config=config,
            runtime=Token(RUNTIME_SOCKET),
            status=Token(STATUS_SOCKET),
            handover=Token(HANDOVER_SOCKET),
            retired=Token(delta.RETIRED),
            page=Token(PAGE),
            state=Token(delta.STATE),
            version=Token(delta.VERSION),
            nobody=Token(routes.NOBODY),
            user=[escape.identifier(name) for name in self._facts.user or ()],
            connections=config.max_connections + OURS,
            threads=config.worker_processes if isinstance(config.worker_processes, int) else 0,
            log=Token(f"fd@{LOGS[config.access_log_path]}" if config.access_log_path in LOGS else ""),
            # An operator's own lines are HAProxy's language already.
            global_options=[Token(line) for line in config.global_options],
            default_options=[Token(line) for line in config.default_options],
            connect_timeout=escape.duration(config.connect_timeout),
            keepalive_timeout=escape.duration(config.keepalive_timeout),
            body_size=size(config.client_max_body_size),
            listen=[escape.listen(port) for port in self._facts.listen],
            host_pattern=escape.quoted(_HOST),
            labels=list(_LABELS),
            strips=list(routes.STRIPS),
            proxy_id=_formatted(self._facts.proxy_id),
            server_info=_formatted(self._facts.server_info),
            spares_rr=[spare("rr", n) for n in range(1, number + 1)],
            spares_hash=[spare("hash", n) for n in range(1, number // 2 + 1)],
        )
        return text.encode()


def compose(files: Mapping[str, bytes], note: str) -> Composed:
    """What belongs to these files, by name as rendered; `note`: what `/interlock/version` answers."""
    lines: dict[str, dict[str, None]] = {name: {} for name in routes.MAPS}
    configured: list[str] = []
    patterns: set[str] = set()
    hosts = host_files(files)
    for name in hosts:
        text = files[name].decode()
        configured += _BACKEND.findall(text)
        for map_, key, value in _ENTRY.findall(text):
            lines[map_][f"{key} {value}\n"] = None
            if map_ == routes.COOKIES:
                patterns.add(key)
    names = _BACKEND.findall(files[MAIN].decode()) if MAIN in files else []
    free: dict[Kind, tuple[str, ...]] = {
        kind: tuple(name for name in names if name.startswith(_spare_prefix(kind))) for kind in routes.KINDS
    }
    maps = {f"{routes.FOLDER}/{name}": "".join(found).encode() for name, found in lines.items()}
    maps[f"{routes.FOLDER}/{delta.STATE}"] = f"{delta.VERSION} {escape.text(note)}\n".encode()
    running = Running(configured=frozenset(configured), free=free, cookies=frozenset(patterns))
    maps[BACKENDS] = b"".join(files[name] for name in hosts)
    return Composed(files=maps, running=running)


def host_files(files: Mapping[str, bytes]) -> list[str]:
    """The names of the host files, in the order in which they are in `backends.cfg`."""
    return sorted(name for name in files if name.startswith(f"{HOSTS}/"))


def file_at(files: Mapping[str, bytes], line: int) -> str | None:
    """Which host file is at a line of `backends.cfg`, counted from 1; None past the end."""
    for name in host_files(files):
        line -= files[name].count(b"\n")
        if line < 1:
            return name
    return None


def spares(hosts: int) -> int:
    """Spare backends with round robin; half as many choose by a key. About 20 kB of memory each."""
    need = max(1, hosts // 8)
    return min(_MOST_SPARES, max(_LEAST_SPARES, 1 << (need - 1).bit_length()))


def spare(kind: Kind, number: int) -> Token:
    """The name of a spare backend."""
    return escape.identifier(f"{_spare_prefix(kind)}{number:04d}")


def _spare_prefix(kind: Kind) -> str:
    return f"spare_{kind}_"


def _formatted(value: str) -> Token:
    return escape.formatted(value) if value else Token("")
