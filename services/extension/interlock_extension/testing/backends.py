"""Tasks for a proxy to lead to: small real HTTP servers that say who they are and keep what they were asked."""

from __future__ import annotations

import base64
import hashlib
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import NamedTuple

HELD = "/held"
"""A request whose path ends so gets the first half of its answer, and the rest when the backend is told to `go_on`."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Request(NamedTuple):
    """What a backend was asked; the names of `headers` are in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.backend.requests.append(Request(self.command, self.path, headers, body))
        if headers.get("upgrade", "").lower() == "websocket":
            self._echo(headers.get("sec-websocket-key", ""))
            return
        answer = f"{self.server.backend.name} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        half = len(answer) // 2 if self.path.endswith(HELD) else 0
        self.wfile.write(answer[:half])
        if half:
            self.server.backend.go_on.wait(30.0)
        self.wfile.write(answer[half:])

    do_POST = do_GET

    def _echo(self, key: str) -> None:
        # Frames go back as they came: no proxy looks into them.
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
            self.send_header(name, value)
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.end_headers()
        self.close_connection = True
        while piece := self.rfile.read1(4096):
            self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None: ...


class _Server(ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, backend: Backend, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.backend = backend

    def handle_error(self, request: object, client_address: object) -> None:
        """A proxy may end a connection at any time."""


class Backend:
    """A task that answers `name path`; `requests` is what it was asked, oldest first. Echoes on a websocket."""

    def __init__(self, name: str, address: str = "127.0.0.1") -> None:
        self.name = name
        self.requests: list[Request] = []
        self.go_on = threading.Event()
        self._server = _Server(self, address)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; connections that are open end with their clients."""
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
