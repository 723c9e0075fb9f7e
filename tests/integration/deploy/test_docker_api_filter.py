"""deploy/docker-api/nginx.conf on a real nginx: what reaches Docker's socket, to the byte, and what does not."""

from __future__ import annotations

import os
import re
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from interlock.runtime.parts import find_nginx
from interlock_watcher.docker_source import DockerSource
from support.nginx_lab import until
from support.ports import free_port
from support.simulator import running_simulator

CONF = Path(__file__).parents[3] / "deploy" / "docker-api" / "nginx.conf"
FILTERS = "filters=%7B%22type%22%3A%5B%22service%22%2C%22node%22%2C%22network%22%2C%22secret%22%2C%22config%22%5D%7D"


@contextmanager
def filtering(folder: Path, docker: str) -> Iterator[int]:
    """The filter before this socket; its port."""
    port = free_port()
    text = CONF.read_text(encoding="utf-8")
    for theirs, ours in (
        ("/var/run/docker.sock", docker),
        ("listen 2375;", f"listen 127.0.0.1:{port};"),
        ("/run/interlock/nginx.pid", str(folder / "pid")),
    ):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    (folder / "nginx.conf").write_text(text)
    command = [str(find_nginx().path), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    # As root, nginx' workers would be another user's, who may not open the socket.
    running = subprocess.Popen(command + (["-g", "user root;"] if os.geteuid() == 0 else []))

    def listens() -> bool:
        assert running.poll() is None, "nginx has ended"
        with socket.socket() as link:
            return link.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(listens, "the filter listens")
        yield port
    finally:
        running.terminate()
        running.wait(10)


class _Docker(socketserver.ThreadingUnixStreamServer):
    """Says yes to everything, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, _Answer)
        self.heads: list[str] = []


class _Answer(socketserver.StreamRequestHandler):
    server: _Docker

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
            head += line
        self.server.heads.append(head.decode())
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


class Filter:
    def __init__(self, port: int, docker: _Docker) -> None:
        self._port = port
        self._docker = docker

    def ask(self, target: str, method: str = "GET", more: str = "") -> tuple[int, list[str]]:
        """The status, and the request lines that Docker got."""
        self._docker.heads.clear()
        with socket.create_connection(("127.0.0.1", self._port), 10) as link:
            link.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n".encode("latin-1"))
            answer = b""
            while piece := link.recv(4096):
                answer += piece
        return int(answer.split()[1]), [head.partition("\r\n")[0] for head in self._docker.heads]

    @property
    def head(self) -> str:
        """What Docker got last."""
        return self._docker.heads[-1]


@pytest.fixture(scope="module")
def api() -> Iterator[Filter]:
    # A short path: a unix socket's may have 107 bytes only.
    folder = Path(tempfile.mkdtemp(prefix="api"))
    try:
        with _Docker(str(folder / "docker.sock")) as docker:
            thread = threading.Thread(target=docker.serve_forever, args=(0.05,))
            thread.start()
            try:
                with filtering(folder, str(folder / "docker.sock")) as port:
                    yield Filter(port, docker)
            finally:
                docker.shutdown()
                thread.join()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "target",
    [
        "/_ping",
        "/version",
        "/v1.47/version",
        "/v1.47/services",
        "/v1.47/services/n3x0.a_b-c",
        "/v1.47/tasks?filters=%7B%22service%22%3A%5B%22x%22%5D%7D",
        "/v1.47/nodes",
        "/networks",
    ],
)
def test_what_a_watcher_reads_passes_as_it_is(api: Filter, target: str) -> None:
    assert api.ask(target) == (200, [f"GET {target} HTTP/1.1"])


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        ("", ""),
        ("?filters=%7B%22type%22%3A%5B%22container%22%5D%7D", ""),
        ("?filters=%7B%7D&type=container", ""),
        ("?since=1700000000", "&since=1700000000"),
        ("?until=1700000009&since=1700000000", "&since=1700000000&until=1700000009"),
        ("?since=1%26filters=%7B%7D", ""),
        ("?since=1h&until=-1", ""),
        ("?since=1%0a", ""),
        ("?since=&until=12&until=13", "&until=12"),
    ],
)
def test_events_are_of_the_types_that_routing_needs(api: Filter, asked: str, passed: str) -> None:
    assert api.ask(f"/v1.47/events{asked}") == (200, [f"GET /v1.47/events?{FILTERS}{passed} HTTP/1.1"])


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/containers/json",
        "/v1.47/containers/json",
        "/secrets",
        "/configs",
        "/v1.47/services/x/logs",
        "/services/",
        "/services/x%0a",
        "/services%0a",
        "/services/x%20HTTP/1.1%0d%0aX:%20y",
        "/events%0a",
        "/events/",
        "/v1.47%0a/services",
        "/services/%2e%2e/secrets",
        "/services/../containers/json",
        "/services/x%2f..%2f..%2fsecrets",
        "/services/%252e%252e%252fsecrets",
        "//services",
        "/v1.47//services",
        "/services//x",
        "/services/x%00",
        "/v1.47/../secrets",
    ],
)
def test_nothing_else_passes(api: Filter, target: str) -> None:
    status, lines = api.ask(target)
    # nginx itself refuses a zero byte.
    assert (status, lines) == (400 if "%00" in target else 403, [])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("target", ["/services/create", "/events", "/v1.47/services/x"])
def test_nothing_that_writes_passes(api: Filter, method: str, target: str) -> None:
    assert api.ask(target, method, "Content-Length: 0\r\n") == (403, [])


def test_no_connection_is_upgraded_and_no_body_passes(api: Filter) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}"
    assert api.ask("/services", more=upgrade)[0] == 200
    assert not re.search("upgrade|content-length|\\{\\}", api.head, re.IGNORECASE)


def test_a_watcher_reads_and_hears_a_swarm_through_it(tmp_path: Path) -> None:
    with running_simulator(tmp_path) as sim, filtering(tmp_path, sim.docker_url.removeprefix("unix://")) as port:
        sim.create_network("web")
        with closing(DockerSource(f"tcp://127.0.0.1:{port}")) as source:
            events = source.events()
            assert next(events) is None
            sim.create_service("shop", networks=["web"])
            heard = next(event for event in events if event is not None and event.type == "service")
            [service], _ = source.services()
            assert (heard.actor.id, source.service(service.id).id) == (service.id, service.id)
            assert source.listing().nodes
            assert not source.serves("/secrets")
            events.close()
