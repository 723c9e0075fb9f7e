"""An engine that begins an answer and does not end it, and one that hangs up: who is asked again, and who is not."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from interlock.errors import DockerFailed
from interlock_watcher import docker_source
from interlock_watcher.docker_source import DockerSource


class _Engine(http.server.ThreadingHTTPServer):
    def __init__(self, misbehave: Callable[[_Handler], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.misbehave = misbehave
        self.asked: list[str] = []
        self.over = threading.Event()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Engine

    def do_GET(self) -> None:
        if self.path == "/version":
            self.answer(b'{"ApiVersion": "1.47", "MinAPIVersion": "1.24", "Version": "27.0"}')
            return
        self.server.asked.append(self.path)
        self.server.misbehave(self)

    def answer(self, body: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def engine(misbehave: Callable[[_Handler], None]) -> Iterator[tuple[_Engine, DockerSource]]:
    with _Engine(misbehave) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            with closing(DockerSource(f"tcp://127.0.0.1:{server.server_address[1]}")) as source:
                yield server, source
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def silent(handler: _Handler) -> None:
    handler.server.over.wait(20)
    handler.close_connection = True


def begun(handler: _Handler) -> None:
    handler.answer(b"[", 100)
    silent(handler)


@pytest.mark.parametrize("how", [silent, begun])
def test_a_reply_that_stalls_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, how: Callable[[_Handler], None]
) -> None:
    monkeypatch.setattr(docker_source, "SERVICE_TIMEOUT", 0.5)
    with engine(how) as (server, source):
        began = time.monotonic()
        with pytest.raises(DockerFailed, match="does not answer in time"):
            source.tasks("shop")
        assert len(server.asked) == 1
        assert time.monotonic() - began < 0.95


def test_a_kept_connection_that_hangs_up_is_asked_again() -> None:
    def hang_up_once(handler: _Handler) -> None:
        if len(handler.server.asked) == 1:
            handler.close_connection = True
        else:
            handler.answer(b"[]")

    with engine(hang_up_once) as (server, source):
        assert source.tasks("shop") == ((), frozenset())
        assert len(server.asked) == 2
