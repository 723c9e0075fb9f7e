"""Every fault, seen by a client of the Docker API."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import docker
import pytest

from interlock.errors import DockerRefused, DockerUnavailable
from interlock_simulator.client import SimulatorClient
from support.simulator import running_simulator


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorClient]:
    with running_simulator(tmp_path_factory.mktemp("sim"), nodes=3) as sim:
        sim.create_network("web")
        yield sim


@pytest.fixture
def sim(simulator: SimulatorClient) -> Iterator[SimulatorClient]:
    yield simulator
    simulator.reset()
    until(lambda: not simulator.docker_tasks())


def until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


class Listener:
    """Collects events in a thread, as the watcher will."""

    def __init__(self, sim: SimulatorClient, **options: object) -> None:
        self._api = docker.APIClient(base_url=sim.docker_url, version="1.44", timeout=10)
        self._stream = self._api.events(decode=True, **options)
        self.events: list[dict[str, object]] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.events.extend([]) if self._stream is None else None
        for event in self._stream:
            self.events.append(event)

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(5)
        assert self.ended
        self._api.close()


def test_500_and_503_for_some_requests_only(sim: SimulatorClient) -> None:
    sim.fault("error", status=503, path="/tasks", count=2)
    sim.fault("error", status=500, path="/nodes", count=1)
    for _ in range(2):
        with pytest.raises(DockerUnavailable, match="503"):
            sim.call("GET", "/v1.44/tasks")
    assert sim.call("GET", "/v1.44/tasks") == []
    with pytest.raises(DockerRefused, match="500"):
        sim.call("GET", "/nodes")
    assert len(sim.call("GET", "/nodes")) == 3


def test_reset_drops_the_connection_unanswered(sim: SimulatorClient) -> None:
    fault = sim.fault("reset")
    with pytest.raises(DockerUnavailable):
        sim.call("GET", "/_ping")
    sim.clear(fault)
    assert sim.call("GET", "/_ping") == "OK"


def test_refuse_closes_the_socket_for_a_while_and_the_control_socket_goes_on(sim: SimulatorClient) -> None:
    sim.fault("refuse", seconds=0.6)
    refused = []

    def down() -> bool:
        try:
            sim.call("GET", "/_ping")
        except DockerUnavailable as error:
            refused.append(error)
        return bool(refused)

    until(down)
    assert isinstance(refused[0].__cause__, ConnectionRefusedError | FileNotFoundError | ConnectionResetError)
    assert sim.tasks() is not None
    sim.wait_ready(3)


def test_refuse_ends_connections_that_were_kept(sim: SimulatorClient) -> None:
    with socket.socket(socket.AF_UNIX) as kept:
        kept.settimeout(5)
        kept.connect(sim.socket)
        ask = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
        kept.sendall(ask)
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        sim.fault("refuse", seconds=60)
        try:
            kept.sendall(ask)
            assert kept.recv(4096) == b""
        except ConnectionError:
            pass
    sim.clear()
    sim.wait_ready(3)


def test_slow(sim: SimulatorClient) -> None:
    sim.fault("slow", delay=0.4, count=1)
    start = time.monotonic()
    sim.call("GET", "/services")
    assert time.monotonic() - start >= 0.4


def test_a_slow_listing_tells_the_state_of_its_start(sim: SimulatorClient) -> None:
    sim.fault("slow_listing", delay=0.5, path=".*/services", count=1)
    seen: list[list[object]] = []
    worker = threading.Thread(target=lambda: seen.append(sim.call("GET", "/v1.44/services")))
    worker.start()
    until(lambda: not sim.call("GET", "/_sim/faults"))
    sim.create_service("late", env={"SIM_LISTEN": "no"})
    assert len(sim.call("GET", "/services")) == 1
    worker.join(5)
    assert seen == [[]]


def test_services_and_tasks_are_lost(sim: SimulatorClient) -> None:
    for name in ("kept", "lost"):
        sim.create_service(name, env={"SIM_LISTEN": "no"})
    until(lambda: len(sim.docker_tasks()) == 2)
    gone = sim.service("lost")["ID"]
    sim.fault("lose", path="/services", service="kept", count=1)
    assert [one["Spec"]["Name"] for one in sim.call("GET", "/v1.44/services")] == ["kept"]
    assert len(sim.call("GET", "/services")) == 2
    sim.fault("lose", path="/tasks|/services/.+")
    assert sim.call("GET", "/tasks") == []
    with (
        docker.APIClient(base_url=sim.docker_url, version="1.44") as client,
        pytest.raises(docker.errors.NotFound, match=f"service {gone} not found"),
    ):
        client.inspect_service(gone)


def test_streams_are_cut(sim: SimulatorClient) -> None:
    listener = Listener(sim)
    sim.create_service("one", env={"SIM_LISTEN": "no"})
    until(lambda: listener.events)
    sim.fault("cut_events")
    listener.join()
    assert [event["Action"] for event in listener.events] == ["create"]
    assert sim.call("GET", "/_sim/faults") == []


def test_events_vanish_silently(sim: SimulatorClient) -> None:
    listener = Listener(sim, filters={"type": "service"})
    sim.fault("drop_events", count=1)
    sim.create_service("lost", env={"SIM_LISTEN": "no"})
    sim.create_service("seen", env={"SIM_LISTEN": "no"})
    until(lambda: listener.events)
    sim.fault("cut_events")
    listener.join()
    assert [event["Actor"]["Attributes"]["name"] for event in listener.events] == ["seen"]  # type: ignore[index]
    assert len(sim.call("GET", "/services")) == 2


def test_the_ring_holds_256_events_and_tasks_make_none(sim: SimulatorClient) -> None:
    began = time.time() - 1
    sim.create_service("noisy", replicas=2)
    sim.wait_converged("noisy", 10)
    for number in range(300):
        sim.set_labels("noisy", {"n": str(number)})
    sim.crash("noisy")
    sim.wait_converged("noisy", 10)
    listener = Listener(sim, since=int(began), until=int(time.time()) + 1)
    listener.join()
    assert len(listener.events) == 256
    assert {event["Type"] for event in listener.events} == {"service"}
    assert {event["scope"] for event in listener.events} == {"swarm"}


def test_nodes_are_unknown_for_a_while(sim: SimulatorClient) -> None:
    sim.nodes_unknown(0.4)
    assert {node["Status"]["State"] for node in sim.call("GET", "/nodes")} == {"unknown"}
    until(lambda: {node["Status"]["State"] for node in sim.call("GET", "/nodes")} == {"ready"})


@pytest.mark.parametrize("how", ["down", "partition"])
def test_a_node_is_lost_and_comes_back(sim: SimulatorClient, how: str) -> None:
    sim.create_service("shop", replicas=3, networks=["web"])
    sim.wait_converged("shop", 10)
    sim.node_state("node3", how)
    states = lambda: {n["Description"]["Hostname"]: n["Status"]["State"] for n in sim.call("GET", "/nodes")}  # noqa: E731 - asked twice
    until(lambda: states()["node3"] == "down")
    running = lambda: [t for t in sim.docker_tasks("shop") if t["DesiredState"] == t["Status"]["State"] == "running"]  # noqa: E731 - asked twice
    until(lambda: len(running()) == 3)
    sim.node_state("node3", "up")
    until(lambda: states()["node3"] == "ready")
    assert len(sim.wait_converged("shop", 10)) == 3


def test_a_task_that_never_listens(sim: SimulatorClient) -> None:
    sim.fault("never_listen", service="mute")
    sim.create_service("mute", networks=["web"])
    until(lambda: [task["Status"]["State"] for task in sim.docker_tasks("mute")] == ["running"])
    with pytest.raises(TimeoutError, match="did not converge"):
        sim.wait_converged("mute", 0.5)
    assert sim.tasks("mute")[0]["listening"] is None


def test_an_unknown_fault_is_refused(sim: SimulatorClient) -> None:
    with pytest.raises(DockerRefused, match="unknown; use one of"):
        sim.fault("flood")
    with pytest.raises(DockerRefused, match="regular expression"):
        sim.fault("error", path="(")


def test_thousands_of_idle_services_are_listed_quickly(sim: SimulatorClient) -> None:
    sim.create_network("wide", "127.112.0.0/14")
    spec = {
        "Labels": {"com.docker.lb.hosts": "h{n}.local"},
        "TaskTemplate": {"ContainerSpec": {"Image": "a", "Env": ["SIM_LISTEN=no"]}, "Networks": [{"Target": "wide"}]},
        "Mode": {"Replicated": {"Replicas": 2}},
    }
    sim.bulk("idle", 2000, spec)
    until(
        lambda: sum(one["ServiceStatus"]["RunningTasks"] for one in sim.call("GET", "/services?status=1")) == 4000, 30
    )
    assert len(sim.docker_tasks()) == 4000
    start = time.monotonic()
    sim.docker_tasks()
    assert time.monotonic() - start < 1.0
