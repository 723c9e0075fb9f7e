"""Engines of any age: the newest version that both sides speak is taken, and taken anew when the engine is another."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from interlock.errors import DockerRefused
from interlock_simulator.client import SimulatorClient
from interlock_watcher.docker_source import DockerSource
from support.bus_servers import Server
from support.simulator import running_simulator
from support.watcher_lab import BusView, running_watcher, until

SHOP = {"com.docker.lb.hosts": "shop.local", "com.docker.lb.port": "8080"}


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulatorClient]:
    """One of its own, which comes to speak other versions."""
    with running_simulator(tmp_path) as client:
        client.create_network("web")
        yield client


@pytest.fixture
def source(sim: SimulatorClient) -> Iterator[DockerSource]:
    sim.create_service("shop", labels=SHOP, networks=["web"])
    sim.wait_converged("shop")
    source = DockerSource(sim.docker_url)
    yield source
    source.close()


def reads_all(source: DockerSource) -> None:
    """Everything that a watcher asks for."""
    listing = source.listing()
    [service] = listing.services
    assert source.service(service.id).spec.name == "shop"
    assert [task.status.state for task in source.tasks(service.id)[0]] == ["running"]
    assert listing.nodes
    assert "web" in {network.name for network in listing.networks}
    events = source.events()
    assert next(events) is None
    events.close()


@pytest.mark.parametrize(
    ("oldest", "newest", "spoken"),
    [
        ("1.24", "1.41", "1.41"),
        ("1.24", "1.47", "1.47"),
        ("1.44", "1.47", "1.47"),
        ("1.44", "1.52", "1.52"),
        ("1.44", "1.60", "1.52"),
        ("1.52", "1.60", "1.52"),
    ],
)
def test_the_newest_that_both_speak(tmp_path: Path, oldest: str, newest: str, spoken: str) -> None:
    with running_simulator(tmp_path, min_api_version=oldest, api_version=newest) as sim:
        sim.create_network("web")
        sim.create_service("shop", labels=SHOP, networks=["web"])
        sim.wait_converged("shop")
        source = DockerSource(sim.docker_url)
        reads_all(source)
        assert source.api_version == spoken
        source.close()


@pytest.mark.parametrize(
    ("oldest", "newest", "remedy"),
    [("1.12", "1.40", "use Docker 20.10 or newer"), ("1.53", "1.60", "use a newer Interlock")],
)
def test_an_engine_with_which_nothing_is_shared(tmp_path: Path, oldest: str, newest: str, remedy: str) -> None:
    with running_simulator(tmp_path, min_api_version=oldest, api_version=newest) as sim:
        source = DockerSource(sim.docker_url)
        with pytest.raises(DockerRefused) as refused:
            source.nodes()
        assert f"speaks API {oldest} to {newest}, we speak 1.41 to 1.52; {remedy}" in str(refused.value)
        assert sim.docker_url in str(refused.value)
        # Where it is replaced by one that we can speak with, we do.
        sim.speak("1.24", "1.47")
        assert source.nodes()
        source.close()


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "behind-something"])
def test_the_engine_is_another_from_one_request_to_the_next(
    sim: SimulatorClient, source: DockerSource, restarted: bool
) -> None:
    """Down to one that refuses our version as too new, and up to one that refuses it as too old."""
    reads_all(source)
    assert source.api_version == "1.47"
    for oldest, newest in (("1.24", "1.43"), ("1.44", "1.52"), ("1.24", "1.41")):
        sim.speak(oldest, newest, restarted=restarted)
        reads_all(source)
        assert source.api_version == newest


def test_the_events_come_at_the_version_of_the_engine_that_is_there(sim: SimulatorClient, source: DockerSource) -> None:
    events = source.events()
    assert next(events) is None
    sim.speak("1.24", "1.42")
    assert list(events) == []
    events = source.events()
    assert next(events) is None
    assert source.api_version == "1.42"
    sim.set_labels("shop", {"touched": "now"})
    event = next(events)
    assert event is not None
    assert (event.type, event.action) == ("service", "update")
    events.close()


def test_an_upgrade_of_the_engine_disturbs_nobody(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    with running_watcher(sim.docker_url, server.url, poll_interval=0.3):
        view.await_serving("shop", 2)
        for oldest, newest, replicas in (("1.44", "1.52", 3), ("1.24", "1.41", 1)):
            sim.speak(oldest, newest)
            sim.fault("reset", path="/tasks", count=1)
            sim.scale("shop", replicas)
            view.await_serving("shop", replicas)
            until("the version is told", lambda n=newest: (s := view.status()) is not None and s.api_version == n)  # type: ignore[misc]
            until("it is fresh", lambda: (s := view.status()) is not None and s.stale_since is None)


class _Engine(http.server.BaseHTTPRequestHandler):
    """Speaks 1.52 and sends events as the client's `Accept` asks, JSON text sequences where it asks for nothing."""

    protocol_version = "HTTP/1.1"
    accepts: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.path.endswith("/version"):
            return self._send(b'{"ApiVersion":"1.52","MinAPIVersion":"1.44","Version":"29.0.0"}')
        self.accepts.append(self.headers["Accept"])
        # Without `status`, `id` and `from`, which 1.52 no longer sends.
        event = b'{"Type":"service","Action":"update","Actor":{"ID":"a"},"scope":"swarm","time":1,"timeNano":1000}\n'
        return self._send(b"\x1e" + event + b"\x1e" + event if "ndjson" not in self.accepts[-1] else event + event)

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: object) -> None: ...


@pytest.mark.parametrize("form", ["lines", "sequence"])
def test_events_in_whichever_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    from interlock_watcher import docker_source

    if form == "sequence":
        # Something in between drops what we ask for.
        monkeypatch.setattr(docker_source, "_ACCEPT", {"Accept": "*/*"})
    monkeypatch.setattr(_Engine, "accepts", [])
    monkeypatch.chdir(tmp_path)
    with socketserver.ThreadingUnixStreamServer("docker.sock", _Engine) as engine:
        engine.daemon_threads = True
        thread = threading.Thread(target=lambda: engine.serve_forever(poll_interval=0.01))
        thread.start()
        source = DockerSource(f"unix://{tmp_path}/docker.sock")
        try:
            events = list(source.events())
        finally:
            source.close()
            engine.shutdown()
            thread.join()
    assert [event and event.action for event in events] == [None, "update", "update"]
    assert ("ndjson" in _Engine.accepts[0]) == (form == "lines")
