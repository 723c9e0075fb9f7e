"""Views to nginx's files: one per virtual host, and the few that belong to none. Pure; templates come with the package.

Templates take `Token`s and integers only: a value that has not been through `escape` ends the rendering.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2s

import jinja2
import msgspec

from interlock.config.kinds import size
from interlock.model.routing import DEFAULT_HOST, PassiveChecks, Route, Upstream, VirtualHost, unserved
from interlock_extension.nginx import custom, escape, raw
from interlock_extension.nginx.config import NginxConfig
from interlock_extension.nginx.custom import Template
from interlock_extension.port import HostView
from interlock_extension.rendering.hosts import file_stem, naming
from interlock_extension.rendering.tokens import Token, only_tokens, strict_environment
from interlock_extension.rendering.values import listen_parts

STATUS_SOCKET = "status.sock"
HANDOVER_SOCKET = "handover.sock"
REFUSALS = "refusals.log"
MAIN = "nginx.conf"
GENERATION = "generation.conf"
WORKPLACE = "workplace.conf"
OUTDATED = "outdated"
"""A file of this name in their working directory tells workers to hand their requests over."""

MAIN_TEMPLATE = "nginx.conf.j2"
HOST_TEMPLATE = "host.conf.j2"

STATUS_PATH = "/nginx_status"

_TOLD = re.compile(rb"\bdefault \"?([0-9a-f]{8}) ")
_POOL = 4
"""Kilobytes."""

_ZONE_BASE = 16


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What rendering needs to know besides the options. `listen`: `port` or `address:port`.

    `keepalive_min_timeout`, `stub_status`: whether this nginx has that. `load_modules`: paths of what it must load.
    """

    listen: tuple[str, ...]
    proxy_id: str
    server_info: str
    stub_status: bool
    keepalive_min_timeout: bool = True
    user: tuple[str, str] | None = None
    load_modules: tuple[str, ...] = ()


class NginxRenderer:
    """Renders for one nginx. The same values give the same bytes."""

    def __init__(self, config: NginxConfig, facts: Facts, template: Template | None = None) -> None:
        self._config = config
        self._facts = facts
        self._raw = raw.raw_files(config)
        loader = jinja2.PackageLoader("interlock_extension.nginx")
        environment = custom.sandbox(loader, only_tokens) if template else strict_environment(loader)
        self._template = template
        self._main, self._host = (
            (custom.compiled(environment, template, (MAIN_TEMPLATE, HOST_TEMPLATE)),) * 2
            if template
            else (environment.get_template(MAIN_TEMPLATE), environment.get_template(HOST_TEMPLATE))
        )
        self._plain = strict_environment(loader).get_template(HOST_TEMPLATE) if template else self._host
        self._generation = environment.get_template("generation.conf.j2")
        self._workplace = environment.get_template("workplace.conf.j2")
        source, _, _ = loader.get_source(environment, "503.html")
        # One line, since a literal takes no control characters.
        self._page = escape.interpolated(" ".join(source.split("\n")).strip())
        self._fixed: dict[str, object] = {
            "model": custom.MODEL,
            "config": config,
            "listen": [listen(port) for port in facts.listen],
            "handover": Token(HANDOVER_SOCKET),
            # Workers connect from their working directory, the master listens from its own.
            "handover_from_workplace": Token(f"../../{HANDOVER_SOCKET}"),
            "handing_over": Token(
                environment.get_template("handing_over.j2").render(outdated=Token(OUTDATED)).rstrip("\n")
            ),
            "page": self._page,
        }

    def file_of(self, host: str) -> str:
        """`hosts/<host>.conf`; names that are no file names become a digest, `*.` becomes `_wild.`."""
        return f"hosts/{file_stem(host)}.conf"

    def host(self, view: HostView) -> bytes:
        """The upstreams and the server of one virtual host. Raises `ConfigRejected` that names it."""
        with naming(view.host.host):
            return self._rendered(self._host, self._host_values(view)).encode()

    def unserved(self, host: str) -> bytes:
        """See `Renderer.unserved`."""
        with naming(host):
            values = self._host_values(HostView(host=unserved(host)))
            return self._plain.render({**self._fixed, **values}).encode()

    def _rendered(self, using: jinja2.Template, values: dict[str, object]) -> str:
        together = {**self._fixed, **values}
        return custom.rendered(self._template, using, together) if self._template else using.render(together)

    def _host_values(self, view: HostView) -> dict[str, object]:
        name, is_default = view.host.host, view.host.host == DEFAULT_HOST
        policies = {route.upstream: route for route in view.host.routes}
        served = {u.name: self._upstream(u, policies.get(u.name)) for u in view.upstreams}
        routes = [each for route in view.host.routes for each in _locations(route, view.host, served)]
        own_status = any(route["path"] == STATUS_PATH for route in routes)
        target = view.host.redirect.target if view.host.redirect else ""
        return {
            "part": "host",
            "base": HOST_TEMPLATE,
            "host": name,
            "upstreams": list(served.values()),
            "redirect": escape.redirect(target) if target else Token(""),
            "server_name": Token("_") if is_default else escape.server_name(name),
            "default_server": Token(" default_server" if is_default else ""),
            "routes": routes,
            "whole": any(not route["path"] for route in routes),
            "status_page": Token("") if own_status else self._status_page(),
        }

    def _upstream(self, upstream: Upstream, policy: Route | None) -> dict[str, object]:
        name = escape.identifier(upstream.name)
        servers: dict[str, Token] = {}
        for endpoint in upstream.endpoints:
            address = escape.address(endpoint.address, endpoint.port)
            checks = policy.passive.get(endpoint.service_id) if policy else None
            servers.setdefault(address, _server(address, checks or PassiveChecks()))
        cookie = policy.sticky_cookie if policy else ""
        # Short: nginx refuses names of variables that do not fit into a bucket of its hash.
        own = Token(f"$il_cookie_{blake2s(name.encode(), digest_size=8).hexdigest()}")
        variable = escape.cookie_variable(cookie) if cookie else None
        balance = Token("")
        if cookie:
            balance = Token(f"hash {variable or own} consistent;")
        elif self._config.ip_hash or (policy and policy.ip_hash):
            balance = Token("ip_hash;")
        return {
            "name": name,
            "zone": Token(f"{name}_backend"),
            "zone_size": zone_size(len(servers), self._config.upstream_zone_size),
            "balance": balance,
            "cookie": escape.cookie_pattern(cookie) if cookie and variable is None else Token(""),
            "variable": own,
            "servers": [servers[address] for address in sorted(servers)],
        }

    def shared(self, hosts: int, longest: int, *, default: bool) -> dict[str, bytes]:
        """The main file. It changes only when the number or length of names crosses a power of two."""
        return {MAIN: self._render_main(hosts, longest, default=default, scratch=False), **self._raw}

    def scratch(self, hosts: int, longest: int, *, default: bool) -> dict[str, bytes]:
        """The same for checking other files aside: no log is written."""
        return {MAIN: self._render_main(hosts, longest, default=default, scratch=True), **self._raw}

    def _render_main(self, hosts: int, longest: int, *, default: bool, scratch: bool) -> bytes:
        config = self._config
        access = f"{escape.interpolated(config.access_log_path)} {config.log_format}"
        values: dict[str, object] = {
            "part": "main",
            "base": MAIN_TEMPLATE,
            "user": Token(" ".join(escape.quoted(word) for word in self._facts.user or ())),
            "error_log": Token("stderr") if scratch else escape.quoted(config.error_log_path),
            "refusals": Token("") if scratch else Token(REFUSALS),
            "access_log": Token("off") if scratch or config.access_log_path == "off" else Token(access),
            "dollar": Token(escape.DOLLAR),
            "bucket_size": max(config.server_names_hash_bucket_size, bucket_size(longest)),
            "hash_size": hash_size(hosts),
            "keepalive_timeout": escape.duration(config.keepalive_timeout),
            "keepalive_min_timeout": self._keepalive_min_timeout(),
            "client_max_body_size": escape.size(config.client_max_body_size),
            "client_body_buffer_size": escape.size(config.client_body_buffer_size),
            "client_header_buffer_size": escape.size(config.client_header_buffer_size),
            "large_client_header_buffers": escape.sizes(config.large_client_header_buffers),
            "client_body_timeout": escape.duration(config.client_body_timeout),
            "connect_timeout": escape.duration(config.connect_timeout),
            "http_version": escape.http_version(config.http_version),
            # nginx wants no buffer smaller than a connection's pool.
            "connection_pool_size": min(_POOL, size(config.large_client_header_buffers.split()[-1]) // 1024),
            "load_modules": [escape.quoted(path) for path in self._facts.load_modules],
            "raw": {key: Token(name if name in self._raw else "") for key, name in raw.FILES.items()},
            "underscores": Token("on" if config.underscores_in_headers else "off"),
            "proxy_id": escape.interpolated(self._facts.proxy_id),
            "server_info": escape.interpolated(self._facts.server_info),
            "status": Token(STATUS_SOCKET),
            "status_page": self._status_page(),
            "catch_all": not default,
        }
        main = self._rendered(self._main, values)
        return raw.replaced(main, config).encode()

    def generation(self, workplace: str, version: str) -> dict[str, bytes]:
        """The files that tell one generation of workers from the next.

        `workplace`: the absolute path of their working directory, in which `OUTDATED` appears when they are
        outdated; `version`: what `/interlock/version` answers.
        """
        return {
            GENERATION: self._generation.render(version=escape.interpolated(version)).encode(),
            WORKPLACE: self._workplace.render(workplace=escape.quoted(workplace)).encode(),
        }

    def _keepalive_min_timeout(self) -> Token:
        wanted = escape.duration(self._config.keepalive_min_timeout)
        return wanted if self._facts.keepalive_min_timeout else Token("")

    def _status_page(self) -> Token:
        if self._facts.stub_status:
            body = "stub_status;\n        access_log off;"
        else:
            body = (
                "access_log off;\n        default_type text/plain;\n"
                '        return 501 "This nginx was built without its stub_status module.";'
            )
        return Token(f"    location = {STATUS_PATH} {{\n        {body}\n    }}")


def generation_in(files: Mapping[str, bytes]) -> str:
    """Which generation files tell of which both are there, as `NginxRenderer.generation` gives them; empty: none."""
    found = _TOLD.search(files.get(GENERATION, b""))
    generation = found[1].decode() if found else ""
    return generation if generation and f"/{generation}".encode() in files.get(WORKPLACE, b"") else ""


def _server(address: Token, checks: PassiveChecks) -> Token:
    said = [address]
    if checks.max_fails is not None:
        said.append(Token(f"max_fails={checks.max_fails:d}"))
    if checks.fail_timeout is not None:
        said.append(Token(f"fail_timeout={checks.fail_timeout:d}s"))
    return Token(" ".join(said))


def _locations(route: Route, host: VirtualHost, served: Mapping[str, object]) -> list[dict[str, object]]:
    """The route's own path, and those below which it lets connections be upgraded."""
    paths = {each.path for each in host.routes}
    own = route.path in route.websockets
    # A path that is another service's is that service's.
    more = [path for path in route.websockets if path not in paths]
    return [_location(path, route, served, websocket=True) for path in more] + [
        _location(route.path, route, served, websocket=own)
    ]


def _location(path: str, route: Route, served: Mapping[str, object], *, websocket: bool) -> dict[str, object]:
    bare = path.rstrip("/")
    rewrite = bool(route.rewrite and bare and route.upstream in served)
    matches = [Token(f"^~ {escape.path(bare + '/')}")]
    if bare and not rewrite:
        # The exact location keeps `/app` from being redirected to `/app/`, which is what a rewrite wants.
        matches.insert(0, Token(f"= {escape.path(bare)}"))
    return {
        "path": bare,
        "matches": matches,
        "upstream": escape.identifier(route.upstream) if route.upstream in served else Token(""),
        "rest": Token("/" if rewrite else ""),
        "websocket": websocket,
        "services": list(route.services),
    }


def listen(port: str) -> Token:
    """`8080`, `address:8080` or `[v6]:8080` as nginx's listen parameter. Raises `ConfigRejected`."""
    host, number = listen_parts(port)
    return escape.address(host.strip("[]"), int(number)) if host else number


def bucket_size(longest: int) -> int:
    """Bytes of a hash bucket that holds the longest name: 128 (as Interlock's) or the next power of two."""
    need = 8 + 8 + 2 + longest + 8
    return max(128, 1 << (need - 1).bit_length())


def zone_size(servers: int, least: int) -> int:
    """Kilobytes of an upstream's shared memory: `least`, or the next power of two that surely holds so many servers.

    Measured with nginx 1.31.3: 64k hold 56 servers, 128k 127, 256k 280, 1024k 1,184 (IPv6, which takes the most).
    A zone that is too small makes nginx refuse everything; pages that are not used cost nothing.
    """
    need = _ZONE_BASE + servers
    return least if need <= least else 1 << (need - 1).bit_length()


def hash_size(hosts: int) -> int:
    """Buckets that nginx may use: at least twice the names, so that it finds a fit at once."""
    return max(1024, 1 << max(0, 2 * hosts - 1).bit_length())
