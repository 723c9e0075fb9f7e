"""Requests as bytes, since clients tidy up what proxies must compare; and answers by what they mean."""

from __future__ import annotations

import http.client
import re
import socket

import msgspec

OURS = ("x-request-id", "x-proxy-id", "x-server-info", "x-upstream-addr", "x-upstream-response-time")
_GENERATED = re.compile(r"[0-9a-f]{32}")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request line's parts, header lines besides Host and Connection, and a body. `host` None: no such line."""

    host: str | bytes | None
    target: str = "/"
    method: str = "GET"
    headers: tuple[str, ...] = ()
    body: bytes = b""
    length: int | None = None
    """A Content-Length that is not the body's."""
    protocol: str = "HTTP/1.1"

    def written(self) -> bytes:
        lines = [f"{self.method} {self.target} {self.protocol}"]
        host = self.host.decode(errors="surrogateescape") if isinstance(self.host, bytes) else self.host
        lines += [] if host is None else [f"Host: {host}"]
        lines += [*self.headers]
        lines += [] if any(h.lower().startswith("connection:") for h in self.headers) else ["Connection: close"]
        length = len(self.body) if self.length is None else self.length
        lines += [f"Content-Length: {length}"] if length or self.method == "POST" else []
        return "\r\n".join(lines).encode(errors="surrogateescape") + b"\r\n\r\n" + self.body


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `service`: who answered, empty for the proxy. `target`: as the service saw it; `seen`: its headers.

    Ids that the proxy makes are `made`. `ours`: which of our headers it has; `page`: whether it is our page for 503.
    """

    status: int
    service: str = ""
    target: str = ""
    method: str = ""
    seen: dict[str, tuple[str, ...]] = {}
    body_bytes: int = 0
    location: str = ""
    ours: frozenset[str] = frozenset()
    page: bool = False
    upstream: str = ""


def ask(port: int, question: Question) -> Heard:
    """What the proxy at a port says. Raises OSError or HTTPException where that is nothing."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(question.written())
        answer = http.client.HTTPResponse(link, method=question.method)
        answer.begin()
        body = b"" if answer.status == 101 else answer.read()
    service = answer.headers.get("x-service", "")
    told = msgspec.json.decode(body) if service and body else {}
    seen: dict[str, tuple[str, ...]] = {}
    for name, value in told.get("headers", ()):
        seen[name] = (*seen.get(name, ()), "made" if name == "x-request-id" and _GENERATED.fullmatch(value) else value)
    return Heard(
        status=answer.status,
        service=service,
        target=told.get("target", ""),
        method=told.get("method", ""),
        seen=seen,
        body_bytes=told.get("body_bytes", 0),
        location=answer.headers.get("location", ""),
        ours=frozenset(name for name in OURS if name in answer.headers),
        page=b"No service answers at this address" in body,
        upstream=answer.headers.get("x-upstream-addr", ""),
    )
