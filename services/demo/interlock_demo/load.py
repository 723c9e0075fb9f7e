"""Steady load on a proxy, judged without mercy: for the demo's screen, the tests and the benchmarks.

Load: at least a third POST with a body, half of the requests on kept-alive connections, some connections idle for
seconds before they send, some bodies that take seconds to arrive. A failed request: an answer that no backend has sent,
a refused or reset connection, or no answer within five seconds. The client never retries. Retries that the proxy made
are counted apart: they are no evidence of draining.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Literal

import h11
import msgspec

ANSWER_WITHIN = 5.0
"""Seconds after which a request counts as failed."""

Kind = Literal["fresh", "kept", "idle"]

_IDLE_SHARE = 0.04
_SLOW_SHARE = 0.03
_SLOW_SECONDS = (0.3, 2.5)
_POST_SHARE = 0.4
_KEPT_SHARE = 0.55
_IDLE_SECONDS = (1.0, 4.0)
_MOST_KEPT = 24
_LATENCIES_KEPT = 200_000


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One failed request. `what`: the status, or the error in a word or two. Times in Unix seconds.

    `began`: when its first byte was about to be sent, or no connection was to be had; `at`: when it was given up.
    """

    began: float
    at: float
    host: str
    method: str
    kind: Kind
    what: str


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a load has seen. Latencies in milliseconds."""

    requests: int
    failed: int
    failures: tuple[Failure, ...]
    posts: int
    kept_alive: int
    after_idle: int
    slow_bodies: int
    proxy_retries: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    answers: dict[str, int]
    """Answers by `host task`: who answered."""

    def __str__(self) -> str:
        return f"{self.failed} of {self.requests:,} requests failed"


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.http = h11.Connection(our_role=h11.CLIENT)

    def usable(self) -> bool:
        """No end of stream has arrived: what every HTTP client looks at before it sends."""
        return not (self.reader.at_eof() or self.writer.is_closing() or self.reader.exception())

    def close(self) -> None:
        self.writer.close()


class Load:
    """A load of `rate` requests per second, spread over `hosts`, on the proxy at `address`:`port`.

    Runs in a thread of its own between `start` and `stop`. `report` may be asked at any time.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        port: int,
        address: str = "127.0.0.1",
        rate: float = 200.0,
        seed: int = 0,
        backend_header: str = "x-task",
        path: str = "/load",
    ) -> None:
        self.hosts = list(hosts)
        self.port, self.address, self.rate = port, address, rate
        self._backend_header = backend_header.lower().encode()
        self._path = path
        self._random = random.Random(seed)  # noqa: S311  # a load, not a secret
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._failures: list[Failure] = []
        self._latencies: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._kept: list[_Connection] = []
        self._stop = threading.Event()
        self._ending = asyncio.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Load:
        """Begins the load."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> LoadReport:
        """Sends no more, waits for what is under way, and reports."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(ANSWER_WITHIN + 10)
        return self.report()

    def __enter__(self) -> Load:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def report(self) -> LoadReport:
        """What was seen so far."""
        with self._lock:
            latencies = sorted(self._latencies)
            counts, failures, answers = Counter(self._counts), tuple(self._failures), dict(self._answers)
        return LoadReport(
            requests=counts["requests"],
            failed=len(failures),
            failures=failures,
            posts=counts["posts"],
            kept_alive=counts["kept"] + counts["idle"],
            after_idle=counts["idle"],
            slow_bodies=counts["slow"],
            proxy_retries=counts["retries"],
            p50_ms=_percentile(latencies, 0.5),
            p99_ms=_percentile(latencies, 0.99),
            most_ms=latencies[-1] if latencies else 0.0,
            answers=answers,
        )

    async def _run(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._stop.is_set():
            due += 1 / self.rate
            # A loop that fell behind does not catch up in a burst: the rate is a promise, not a debt.
            due = max(due, time.monotonic() - 0.25)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        self._ending.set()
        for task in list(tasks):
            if not task.done():
                with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError):
                    await asyncio.wait_for(task, ANSWER_WITHIN + 1)
        for connection in self._kept:
            connection.close()
        await asyncio.sleep(0)

    async def _one(self) -> None:
        host = self._random.choice(self.hosts)
        method = "POST" if self._random.random() < _POST_SHARE else "GET"
        draw = self._random.random()
        kind: Kind = "idle" if draw < _IDLE_SHARE else "kept" if draw < _IDLE_SHARE + _KEPT_SHARE else "fresh"
        connection: _Connection | None = None
        sent_at: float | None = None
        try:
            connection, kind = await self._connection(kind)
            slow = method == "POST" and self._random.random() < _SLOW_SHARE / _POST_SHARE
            sent_at = time.time()
            await self._send(connection, host, method, close=kind == "fresh", slow=slow)
            began = time.monotonic()
            status, task, tries = await asyncio.wait_for(self._receive(connection), ANSWER_WITHIN)
            # Whatever no backend has sent is a failure: a 404 of the proxy's own is a route that was lost.
            what = "" if task else f"status {status}"
        except TimeoutError:
            what = f"no answer within {ANSWER_WITHIN:.0f} s"
        except (OSError, EOFError, h11.RemoteProtocolError) as error:
            what = f"{type(error).__name__}: {error}"
        else:
            self._answered(host, task, tries, (time.monotonic() - began) * 1000)
            self._put_back(connection)
            connection = None
        if connection is not None:
            connection.close()
        with self._lock:
            self._counts["requests"] += 1
            self._counts["posts"] += method == "POST"
            self._counts[kind] += 1
            if what:
                now = time.time()
                self._failures.append(
                    Failure(began=sent_at or now, at=now, host=host, method=method, kind=kind, what=what)
                )

    async def _connection(self, kind: Kind) -> tuple[_Connection, Kind]:
        if kind == "fresh":
            return await self._connect(), kind
        connection = self._kept.pop(self._random.randrange(len(self._kept))) if self._kept else await self._connect()
        if kind == "idle" and not await self._idled():
            kind = "kept"
        while not connection.usable():
            # The proxy has closed an idle connection, as it may; a client that sees it takes another.
            connection.close()
            if not self._kept:
                return await self._connect(), "fresh"
            connection, kind = self._kept.pop(), "kept"
        return connection, kind

    async def _idled(self) -> bool:
        """Rests for seconds; False when the load's end cut that short."""
        try:
            await asyncio.wait_for(self._ending.wait(), self._random.uniform(*_IDLE_SECONDS))
        except TimeoutError:
            return True
        return False

    async def _connect(self) -> _Connection:
        return _Connection(*await asyncio.wait_for(asyncio.open_connection(self.address, self.port), ANSWER_WITHIN))

    async def _send(self, connection: _Connection, host: str, method: str, *, close: bool, slow: bool) -> None:
        http = connection.http
        body = self._random.randbytes(self._random.randrange(2, 2000)) if method == "POST" else b""
        headers = [("host", host), ("connection", "close" if close else "keep-alive")]
        if body:
            headers.append(("content-length", str(len(body))))
        data = http.send(h11.Request(method=method, target=self._path, headers=headers)) or b""
        if slow:
            with self._lock:
                self._counts["slow"] += 1
            connection.writer.write(data + (http.send(h11.Data(data=body[:1])) or b""))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._random.uniform(*_SLOW_SECONDS))
            body, data = body[1:], b""
        if body:
            data += http.send(h11.Data(data=body)) or b""
        connection.writer.write(data + (http.send(h11.EndOfMessage()) or b""))

    async def _receive(self, connection: _Connection) -> tuple[int, str, int]:
        """Status, the task that answered, and how many endpoints the proxy tried."""
        http = connection.http
        status, task, tries = 0, "", 1
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                data = await connection.reader.read(65536)
                if not data and not http.their_state == h11.SEND_BODY:
                    raise EOFError("closed without an answer")
                http.receive_data(data)
            elif isinstance(event, h11.Response):
                status = event.status_code
                found = dict(event.headers)
                task = found.get(self._backend_header, b"").decode("latin-1")
                tries = found.get(b"x-upstream-addr", b"").count(b",") + 1
            elif isinstance(event, h11.EndOfMessage):
                return status, task, tries

    def _answered(self, host: str, task: str, tries: int, milliseconds: float) -> None:
        with self._lock:
            self._latencies.append(milliseconds)
            self._answers[f"{host} {task}"] += 1
            self._counts["retries"] += tries - 1

    def _put_back(self, connection: _Connection) -> None:
        http = connection.http
        if http.our_state is h11.DONE and http.their_state is h11.DONE and len(self._kept) < _MOST_KEPT:
            http.start_next_cycle()
            self._kept.append(connection)
        else:
            connection.close()


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
