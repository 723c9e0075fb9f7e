"""Who asks a proxy: requests that are never tried again, on connections of their own or kept alive; and steady load."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

Address = tuple[str, int]
_TIMEOUT = 10.0
_PAUSE = 0.005


def until(condition: Callable[[], object], what: str, timeout: float = 10.0) -> None:
    """Wait for a condition; fail with what was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(_PAUSE)


class Answer(NamedTuple):
    """The names of `headers` are in small letters."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def by(self) -> str:
        """The backend that answered; empty where the proxy itself did."""
        return self.text.partition(" ")[0] if self.status == 200 else ""


class Connection:
    """One connection; it is never opened anew. `ended`: the proxy has said that it closes it."""

    def __init__(self, where: Address) -> None:
        self.socket = socket.create_connection(where, timeout=_TIMEOUT)
        self.ended = False

    def ask(
        self, host: str, path: str = "/", *, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a request and read its answer. Raises `OSError`, `http.client.HTTPException`."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        with http.client.HTTPResponse(self.socket, method=method) as response:
            response.begin()
            text = response.read().decode() if response.status != http.client.SWITCHING_PROTOCOLS else ""
            self.ended = response.will_close
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def ask(
    where: Address,
    host: str,
    path: str = "/",
    *,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] = {},
) -> Answer:
    """One request on a connection of its own. Raises as `Connection.ask`."""
    with Connection(where) as link:
        return link.ask(host, path, method=method, body=body, headers={"Connection": "close", **headers})


class Load:
    """Steady requests for a host, half of them POST; `kept`: half of the threads keep their connection.

    After the `with` block, `done` is the number of requests and `failed` says what went wrong.
    """

    def __init__(self, where: Address, host: str, *, kept: bool = True) -> None:
        self.done = 0
        self.failed: list[str] = []
        self._where, self._host = where, host
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(kept and n % 2 == 0, n < 2)) for n in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        until(lambda: self.done >= 8, "requests are under way")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kept: bool, post: bool) -> None:
        link: Connection | None = None
        headers = {} if kept else {"Connection": "close"}
        while not self._stop.is_set():
            try:
                link = link or Connection(self._where)
                answer = link.ask(
                    self._host, method="POST" if post else "GET", body=b"x" * 1000 if post else b"", headers=headers
                )
                if answer.status != 200:
                    self.failed.append(f"status {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            self.done += 1
            if link and (not kept or link.ended or self.failed):
                link.close()
                link = None
            self._stop.wait(_PAUSE)
        if link:
            link.close()
