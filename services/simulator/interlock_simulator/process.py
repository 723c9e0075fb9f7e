"""One task's process: a real HTTP/1.1 server on the task's own loopback address. Shell; owned by `engine`.

Kept small and cheap (asyncio protocols, no framework), since hundreds of requests a second over all tasks share one
core with what is being measured. It answers JSON about the request, or what the query asks: `?delay_ms= &status=
&bytes= &seconds= &close=1 &abort=1 &set_cookie=NAME=VALUE`; with `seconds`, the body takes so long to be sent. Who asks
for a websocket gets one that says what it hears.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import msgspec

from interlock_simulator import echo

_REASONS = {int(status): status.phrase for status in HTTPStatus}
_MOST_KEPT = 20_000
_MAX_HEAD = 65_536
_PIECE_EVERY = 0.1
"""Seconds between two pieces of a slow body."""


@dataclass(slots=True, kw_only=True)
class Log:
    """What a task was asked. Times are seconds since the epoch at which the request's first byte was read."""

    count: int = 0
    connections: int = 0
    in_flight: int = 0
    first: float | None = None
    last: float | None = None
    cut: int = 0
    """Requests in flight when the process was killed."""
    recent: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=_MOST_KEPT))
    """(time, method, target), the last 20,000."""


@dataclass(slots=True, kw_only=True)
class Identity:
    """Who answers."""

    task_id: str
    service: str
    version: str
    hostname: str
    address: str


class Process:
    """A listening process. `stop` is SIGTERM, `kill` is SIGKILL; `on_exit` is called once when it has ended
    by SIGTERM."""

    def __init__(self, identity: Identity, on_exit: Callable[[], None], *, ignore_sigterm: bool = False) -> None:
        self.identity = identity
        self.log = Log()
        self.draining = False
        self.hung = False
        self.connections: set[_Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._on_exit = on_exit
        self._ignore = ignore_sigterm
        self._ended = False
        self.head = (
            f"Server: interlock-simulator\r\nX-Task: {identity.task_id}\r\nX-Version: {identity.version}\r\n".encode()
        )
        self.head += f"X-Service: {identity.service}\r\n".encode()

    async def listen(self, places: list[tuple[str, int]]) -> None:
        """Begins to accept on every (address, port). Raises OSError when one is taken."""
        loop = asyncio.get_running_loop()
        for address, port in places:
            server = await loop.create_server(
                lambda: _Connection(self), address, port, backlog=1024, reuse_address=True
            )
            if self._ended or self.draining:
                server.close()
                return
            self._servers.append(server)

    def stop(self) -> None:
        """SIGTERM: accepts no more, closes idle connections, ends when what is in flight is answered."""
        if self._ignore:
            return
        self.draining = True
        self._close_servers()
        for connection in list(self.connections):
            if not connection.busy:
                connection.close()
        self.settle()

    def settle(self) -> None:
        """Ends the process if it drains and nothing is in flight any more."""
        if self.draining and not self._ended and self.log.in_flight == 0:
            self._ended = True
            self._on_exit()

    def kill(self) -> None:
        """SIGKILL: every connection is reset. Also the clean-up at the simulator's own end."""
        self._ended = True
        self._close_servers()
        self.log.cut += self.log.in_flight
        for connection in list(self.connections):
            connection.abort()

    def _close_servers(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()


class _Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, pipelined ones wait."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._started: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.busy = False
        """A request has begun: SIGTERM lets it finish."""
        self._answering = False
        self._websocket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server gives
        self._transport = transport
        self._process.connections.add(self)
        self._process.log.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._process.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._done()

    def close(self) -> None:
        """Ends the connection after what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Resets the connection."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._websocket:
            self._say()
        elif not self._answering:
            self._try()

    def _try(self) -> None:
        try:
            self._take()
        except ValueError:  # a length, status or delay that is not a number: not worth an answer
            self.abort()

    def _take(self) -> None:
        """Takes the next whole request from the buffer, if there is one."""
        if not self._buffer or self._process.hung:
            return
        if not self.busy:
            self.busy = True
            self._started = time.time()
            self._process.log.in_flight += 1
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD:
                self.abort()
            return
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        target, _, protocol = rest.partition(" ")
        pairs = [(key.strip().lower(), value.strip()) for key, _, value in (line.partition(":") for line in lines[1:])]
        headers = dict(pairs)
        length = self._body(headers, end + 4)
        if length is None:
            return
        keep = protocol == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self._answering = True
        self._accepted(method, target)
        if headers.get("upgrade", "").lower() == "websocket" and "sec-websocket-key" in headers and self._transport:
            self._websocket = True
            self._transport.write(echo.handshake(headers["sec-websocket-key"], self._process.head))
            # Nothing that a task must finish before it ends: SIGTERM closes it.
            self._done()
            self._say()
            return
        self._answer(method, target, pairs, length, keep)

    def _say(self) -> None:
        said, closing = echo.echo(self._buffer)
        if self._transport is not None:
            self._transport.write(said)
            if closing:
                self._transport.close()

    def _body(self, headers: dict[str, str], start: int) -> int | None:
        """Removes head and body from the buffer; gives the body's length, None when it is not all there."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked(start)
        length = int(headers.get("content-length") or 0)
        if len(self._buffer) < start + length:
            if headers.get("expect", "").lower() == "100-continue" and len(self._buffer) == start and self._transport:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        del self._buffer[: start + length]
        return length

    def _chunked(self, start: int) -> int | None:
        total, place = 0, start
        while True:
            end = self._buffer.find(b"\r\n", place)
            if end < 0:
                return None
            size = int(bytes(self._buffer[place:end]).split(b";")[0] or b"0", 16)
            place = end + 2 + size + 2
            if len(self._buffer) < place:
                return None
            total += size
            if size == 0:
                del self._buffer[:place]
                return total

    def _accepted(self, method: str, target: str) -> None:
        log, now = self._process.log, self._started or time.time()
        log.count += 1
        log.first = log.first or now
        log.last = now
        log.recent.append((now, method, target))

    def _answer(self, method: str, target: str, pairs: list[tuple[str, str]], length: int, keep: bool) -> None:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query)) if url.query else {}
        if query.get("abort"):
            self.abort()
            return
        status = int(query.get("status", 200))
        if "bytes" in query:
            body, kind = b"x" * int(query["bytes"]), "application/octet-stream"
        else:
            who = self._process.identity
            told = {"hostname": who.hostname, "task": who.task_id, "service": who.service, "version": who.version}
            told |= {"address": who.address, "method": method, "path": url.path, "target": target}
            body = msgspec.json.encode({**told, "query": query, "headers": pairs, "body_bytes": length}) + b"\n"
            kind = "application/json"
        delay = int(query.get("delay_ms", 0)) / 1000
        keep = keep and "close" not in query
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: {kind}\r\n"
        head += f"Set-Cookie: {query['set_cookie']}\r\n" if "set_cookie" in query else ""
        head += f"Content-Length: {len(body)}\r\n"
        pieces = max(1, round(float(query.get("seconds", 0)) / _PIECE_EVERY))
        if method == "HEAD":
            body, pieces = b"", 1
        if delay:
            self._timer = asyncio.get_running_loop().call_later(delay, self._send, head, body, keep, pieces)
        else:
            self._send(head, body, keep, pieces)

    def _send(self, head: str, body: bytes, keep: bool, pieces: int) -> None:
        keep = keep and not self._process.draining
        head += "Connection: keep-alive\r\n" if keep else "Connection: close\r\n"
        self._send_body(head.encode() + self._process.head + b"\r\n", body, keep, pieces)

    def _send_body(self, ahead: bytes, rest: bytes, keep: bool, pieces: int) -> None:
        self._timer = None
        if self._process.hung or self._transport is None:
            return
        size = -(-len(rest) // pieces)
        self._transport.write(ahead + rest[:size])
        if pieces > 1:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_PIECE_EVERY, self._send_body, b"", rest[size:], keep, pieces - 1)
            return
        if not keep:
            self._transport.close()
        self._done()
        if keep and self._buffer:
            self._try()

    def _done(self) -> None:
        self._answering = False
        if self.busy:
            self.busy = False
            self._process.log.in_flight -= 1
            self._process.settle()

    def resume(self) -> None:
        """After a hang: takes up what arrived meanwhile."""
        if not self._answering:
            self._try()
