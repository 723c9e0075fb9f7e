"""A lab for the nginx extension: tiny real HTTP backends, views and plans that point to them, and a client."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interlock.model.names import upstream_name
from interlock.model.routing import Endpoint, Route, Upstream, VirtualHost
from interlock_extension.nginx import extension
from interlock_extension.nginx.control import NginxControl
from interlock_extension.nginx.render import NginxRenderer
from interlock_extension.port import HostView, Settings

OLD_NGINX = "/usr/sbin/nginx"
"""Debian's, which is older than 1.27.4 and lacks `keepalive_min_timeout`."""

both = pytest.mark.parametrize(
    "binary", [pytest.param("", id="newest"), pytest.param(OLD_NGINX, id="old", marks=pytest.mark.old_nginx)]
)
"""For tests whose `nginx` or `lab` must do as well with an old nginx."""


def until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    """Wait for a condition; fail with what was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.005)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers.items()), body))
        self.server.before_answer()
        answer = f"{self.server.name} {self.command} {self.path} {len(body)}".encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_POST = do_HEAD = do_GET  # the library's names

    def log_message(self, *args: object) -> None: ...


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Tests reuse an address for a task that comes later.
    allow_reuse_address = True
    request_queue_size = 128
    name = ""
    status = 200

    def handle_error(self, request: object, client_address: object) -> None: ...


class Backend:
    """A task that answers `name method path body-length`."""

    def __init__(self, name: str, port: int = 0, address: str = "127.0.0.1") -> None:
        self.name = name
        self._server = _Server((address, port), _Handler)
        self._server.name = name
        self._server.seen = []
        self._server.before_answer = lambda: None
        self.port = self._server.server_port
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.01), daemon=True)
        self._thread.start()

    @property
    def seen(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        return self._server.seen

    @property
    def server(self) -> _Server:
        return self._server

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def backends(*names: str) -> Iterator[list[Backend]]:
    made = [Backend(name) for name in names]
    try:
        yield made
    finally:
        for backend in made:
            backend.close()


def endpoint(port: int, task: str, *, draining: float | None = None, service: str = "svc") -> Endpoint:
    return Endpoint(
        address="127.0.0.1", port=port, task=task, service_id=f"id-{service}", service=service, draining_since=draining
    )


def upstream(host: str, endpoints: tuple[Endpoint, ...], path: str = "/") -> Upstream:
    return Upstream(name=upstream_name(host, path), endpoints=endpoints)


def virtual_host(host: str, *paths: str, rewrite: bool = False) -> VirtualHost:
    return VirtualHost(
        host=host,
        routes=tuple(
            Route(path=path, rewrite=rewrite, upstream=upstream_name(host, path))
            for path in sorted(paths or ("/",), key=len, reverse=True)
        ),
    )


def view(host: str, *ports: int, path: str = "/", rewrite: bool = False) -> HostView:
    """A host whose one path goes to these ports."""
    endpoints = tuple(endpoint(port, f"t{port}") for port in ports)
    return HostView(host=virtual_host(host, path, rewrite=rewrite), upstreams=(upstream(host, endpoints, path),))


class Answer:
    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        self.status, self.headers, self.text = status, headers, text


def ask(
    port: int, host: str, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str
) -> Answer:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request(method, path, body=body, headers={"Host": host, **headers})
        answer = link.getresponse()
        text = answer.read().decode()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)
    finally:
        link.close()


def status_of(port: int, host: str, path: str = "/") -> int:
    """The status, 0 for a refused or cut connection."""
    try:
        return ask(port, host, path).status
    except (OSError, http.client.HTTPException):
        return 0


class Idle:
    """One connection that sends when told."""

    def __init__(self, port: int) -> None:
        self._link = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.ended = False
        """The server has said that it closes."""

    def request(self, host: str, path: str = "/") -> str:
        """The answer's text, empty where the connection was closed."""
        try:
            self._link.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(self._link)
            answer.begin()
            self.ended = answer.will_close
            return answer.read().decode()
        except (OSError, http.client.HTTPException):
            return ""

    def close(self) -> None:
        self._link.close()


def open_nginx(
    folder: Path, port: int, *, binary: str = "", template: str = "", **options: object
) -> tuple[NginxRenderer, NginxControl]:
    renderer, control = extension.open(
        Settings(
            folder=folder,
            listen=(f"127.0.0.1:{port}",),
            binary=binary,
            template=template,
            proxy_id="proxy-1",
            server_info="interlock/0.1.0 (0123abcd) linux/amd64",
            options={"AccessLogPath": "off", "ErrorLogPath": str(folder.parent / "error.log"), **options},
        )
    )
    assert isinstance(renderer, NginxRenderer)
    assert isinstance(control, NginxControl)
    return renderer, control


def files_for(renderer: NginxRenderer, *views: HostView) -> dict[str, bytes]:
    hosts = [v.host.host for v in views]
    shared = renderer.shared(len(hosts), max(map(len, hosts), default=0), default="_" in hosts)
    return {**shared, **{renderer.file_of(v.host.host): renderer.host(v) for v in views}}
