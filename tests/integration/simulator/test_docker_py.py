"""docker-py, both its levels, against the simulator: real sockets, real HTTP answers from the tasks."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import docker.errors
import docker.types
import pytest

from interlock.errors import DockerRefused, DockerUnavailable, NotFound
from interlock_simulator.client import SimulatorClient
from support.simulator import running_simulator


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorClient]:
    with running_simulator(tmp_path_factory.mktemp("sim"), nodes=2) as sim:
        yield sim


@pytest.fixture
def sim(simulator: SimulatorClient) -> Iterator[SimulatorClient]:
    yield simulator
    simulator.reset()
    until(lambda: not simulator.docker_tasks())
    for network in simulator.call("GET", '/networks?filters={"type":["custom"]}'):
        if network["Name"] != "ingress":
            simulator.call("DELETE", f"/networks/{network['Id']}")


def until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


@contextlib.contextmanager
def low(sim: SimulatorClient, version: str = "auto") -> Iterator[docker.APIClient]:
    client = docker.APIClient(base_url=sim.docker_url, version=version, timeout=10)
    try:
        yield client
    finally:
        client.close()


def get(address: str, path: str = "/", port: int = 8080, timeout: float = 3.0) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def shop(sim: SimulatorClient, replicas: int = 2, **more: object) -> list[str]:
    """A service on an overlay, converged; gives its tasks' addresses."""
    with contextlib.suppress(Exception):
        sim.create_network("web")
    sim.create_service("shop", replicas=replicas, networks=["web"], **more)  # type: ignore[arg-type] - options of one test
    return addresses(sim.wait_converged("shop", 10))


def addresses(tasks: list[dict[str, object]]) -> list[str]:
    return [task["NetworksAttachments"][-1]["Addresses"][0].split("/")[0] for task in tasks]  # type: ignore[index]


@pytest.mark.parametrize("version", ["1.41", "1.44", "1.47", "auto"])
def test_docker_py_lists_and_inspects_in_every_version(sim: SimulatorClient, version: str) -> None:
    shop(sim, labels={"a": "b"})
    with low(sim, version) as api:
        assert [one["Spec"]["Name"] for one in api.services(filters={"label": "a=b"})] == ["shop"]
        assert len(api.tasks(filters={"service": "shop", "desired-state": "running"})) == 2
        assert {node["Status"]["State"] for node in api.nodes()} == {"ready"}
        assert api.inspect_network("web")["Driver"] == "overlay"
        assert api.services(status=True)[0]["ServiceStatus"]["RunningTasks"] == 2
        with pytest.raises(docker.errors.NotFound):
            api.inspect_service("nope")


def test_a_version_outside_is_refused(sim: SimulatorClient) -> None:
    with low(sim, "1.99") as api, pytest.raises(docker.errors.APIError, match=r"client version 1.99 is too new"):
        api.services()
    with pytest.raises(DockerRefused, match=r"client version 1.23 is too old"):
        sim.call("GET", "/v1.23/services")


def test_docker_py_s_models_create_update_scale_and_remove(sim: SimulatorClient) -> None:
    client = docker.DockerClient(base_url=sim.docker_url)
    try:
        client.networks.create("web", driver="overlay", labels={"x": "y"})
        quick = docker.types.UpdateConfig(parallelism=0, monitor=200_000_000, order="start-first")
        service = client.services.create(
            "demo/app:1", name="shop", networks=["web"], env=["APP_VERSION=1"], update_config=quick
        )
        sim.wait_converged("shop", 10)
        service.reload()
        assert service.scale(3)
        assert len(sim.wait_converged("shop", 10)) == 3
        service.reload()
        service.update(env=["APP_VERSION=2"], labels={"k": "v"})
        sim.wait_converged("shop", 20)
        service.reload()
        assert service.attrs["UpdateStatus"]["State"] == "completed"
        assert service.attrs["PreviousSpec"]["Labels"] == {}
        with pytest.raises(docker.errors.APIError, match="update out of sequence"):
            client.api.update_service(service.id, 1, name="shop", task_template=service.attrs["Spec"]["TaskTemplate"])
        assert client.secrets.list() == client.configs.list() == []
        config = client.configs.create(name="c", data=b"hello")
        assert client.configs.get(config.id).name == "c"
        config.remove()
        service.remove()
        until(lambda: not sim.docker_tasks())
    finally:
        client.close()


def test_tasks_answer_on_addresses_of_their_own_with_keep_alive(sim: SimulatorClient) -> None:
    places = shop(sim, env={"APP_VERSION": "7"})
    assert len(set(places)) == 2
    connection = http.client.HTTPConnection(places[0], 8080, timeout=3)
    try:
        for body in (b"x" * 100_000, b"", b"abc"):
            connection.request("POST", "/cart?x=1", body, {"Host": "shop.local"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
            assert (told["body_bytes"], told["path"], told["method"], told["version"]) == (
                len(body),
                "/cart",
                "POST",
                "7",
            )
            assert ["host", "shop.local"] in told["headers"]
            assert (answer.headers["X-Service"], answer.headers["X-Version"]) == ("shop", "7")
        connection.request(
            "POST", "/", iter([b"ab", b"cde"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert json.loads(connection.getresponse().read())["body_bytes"] == 5
    finally:
        connection.close()
    assert get(places[0], "/?status=503&bytes=10")[::2] == (503, b"x" * 10)
    assert sum(truth["requests"] for truth in sim.tasks("shop")) >= 5


def test_a_slow_body_takes_its_time_and_arrives_whole(sim: SimulatorClient) -> None:
    place = shop(sim, replicas=1)[0]
    connection = http.client.HTTPConnection(place, 8080, timeout=3)
    try:
        began = time.monotonic()
        connection.request("GET", "/?bytes=1001&seconds=0.5")
        answer = connection.getresponse()
        assert sim.tasks("shop")[-1]["in_flight"] == 1
        assert answer.read() == b"x" * 1001
        assert time.monotonic() - began >= 0.35
        connection.request("HEAD", "/?bytes=1001&seconds=30")
        assert connection.getresponse().headers["Content-Length"] == "1001"
    finally:
        connection.close()


def test_the_vip_forwards_to_every_running_task(sim: SimulatorClient) -> None:
    shop(sim)
    vip = sim.service("shop")["Endpoint"]["VirtualIPs"][0]["Addr"].split("/")[0]
    assert len({get(vip)[1]["X-Task"] for _ in range(6)}) == 2


def test_running_is_not_listening(sim: SimulatorClient) -> None:
    sim.create_network("web")
    sim.create_service("shop", networks=["web"], env={"SIM_START_DELAY": "0.5"})
    until(lambda: [task["Status"]["State"] for task in sim.docker_tasks("shop")] == ["running"])
    place = addresses(sim.docker_tasks("shop"))[0]
    with pytest.raises(ConnectionRefusedError):
        get(place)
    sim.wait_converged("shop", 5)
    assert get(place)[0] == 200


def test_sigterm_follows_the_desired_state_and_lets_requests_finish(sim: SimulatorClient) -> None:
    place = shop(sim, replicas=1)[0]
    results: list[object] = []

    def slow() -> None:
        results.append(get(place, "/?delay_ms=1200")[0])

    idle = socket.create_connection((place, 8080), timeout=3)
    worker = threading.Thread(target=slow)
    worker.start()
    until(lambda: sim.tasks("shop")[-1]["in_flight"] == 1)
    sim.scale("shop", 0)
    task = sim.docker_tasks("shop")[0]
    assert (task["DesiredState"], task["Status"]["State"]) == ("remove", "running")
    assert get(place)[0] == 200
    assert idle.recv(1) == b""  # the idle connection is closed at SIGTERM
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        get(place)
    assert not results
    worker.join(5)
    assert results == [200]
    until(lambda: not sim.docker_tasks("shop"))
    truth = next(truth for truth in sim.tasks("shop") if truth["task_id"] == task["ID"])
    assert 0.6 <= truth["sigterm"] - truth["desired_off"] < 0.75
    assert len(truth["after_desired"]) == 1
    assert truth["after_sigterm"] == []
    assert truth["exited"] - truth["sigterm"] < 1.5


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_rolling_updates_in_both_orders(sim: SimulatorClient, order: str) -> None:
    shop(sim, env={"APP_VERSION": "1"})
    sim.update("shop", env={"APP_VERSION": "2"}, order=order)
    low_water = 2
    end = time.monotonic() + 15
    while (sim.service("shop").get("UpdateStatus") or {}).get("State") == "updating" and time.monotonic() < end:
        live = [t for t in sim.docker_tasks("shop") if t["Status"]["State"] == t["DesiredState"] == "running"]
        low_water = min(low_water, len(live))
    assert low_water == (2 if order == "start-first" else 1)
    assert {get(place)[1]["X-Version"] for place in addresses(sim.wait_converged("shop", 10))} == {"2"}


def test_an_address_is_soon_another_service_s(sim: SimulatorClient) -> None:
    sim.create_network("web", "127.110.0.0/28")
    sim.create_service("one", networks=["web"], endpoint_mode="dnsrr")
    place = addresses(sim.wait_converged("one", 10))[0]
    sim.remove("one")
    until(lambda: not sim.docker_tasks())
    sim.create_service("two", networks=["web"], endpoint_mode="dnsrr")
    assert addresses(sim.wait_converged("two", 10)) == [place]
    assert get(place)[1]["X-Service"] == "two"


def test_a_crash_resets_and_is_replaced(sim: SimulatorClient) -> None:
    shop(sim, replicas=2)
    victim = sim.crash("shop")[0]
    until(lambda: any(t["ID"] == victim and t["Status"]["State"] == "failed" for t in sim.docker_tasks("shop")))
    assert len(sim.wait_converged("shop", 10)) == 2


def test_a_hung_task_accepts_and_never_answers(sim: SimulatorClient) -> None:
    place = shop(sim, replicas=1)[0]
    sim.hang("shop")
    with pytest.raises(TimeoutError):
        get(place, timeout=0.3)
    sim.hang("shop", on=False)
    assert get(place)[0] == 200


def test_a_published_port_in_host_mode_answers_on_the_node(sim: SimulatorClient) -> None:
    ports = [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 18080, "PublishMode": "host"}]
    sim.create_service("edge", replicas=None, ports=ports)
    sim.wait_converged("edge", 10)
    for node in sim.call("GET", "/nodes"):
        assert get(node["Status"]["Addr"], port=18080)[1]["X-Service"] == "edge"


def test_the_process_leaves_nothing_behind_even_when_its_parent_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    code = (
        "import subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'interlock_simulator.cli', '--stop-with-parent', '--socket']\n"
        f"subprocess.Popen([*command, {str(path)!r}])\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    sim = SimulatorClient(path)
    sim.wait_ready()
    parent.kill()
    parent.wait()
    until(lambda: not path.exists() and not Path(f"{path}.control").exists())
    with pytest.raises(DockerUnavailable):
        sim.call("GET", "/_ping")


def test_two_simulators_use_different_addresses_and_a_taken_socket_is_refused(
    sim: SimulatorClient, tmp_path: Path
) -> None:
    mine = set(shop(sim))
    with running_simulator(tmp_path) as other:
        assert not mine & set(shop(other))
        again = [sys.executable, "-m", "interlock_simulator.cli", "--socket", other.socket]
        done = subprocess.run(again, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 1
        assert "something answers there already" in done.stderr
    assert not os.path.exists(other.socket)  # noqa: PTH110 - the client holds a text


def test_an_unknown_thing_is_not_found(sim: SimulatorClient) -> None:
    with pytest.raises(NotFound, match="service nope not found"):
        sim.service("nope")
    with pytest.raises(NotFound, match="page not found"):
        sim.call("GET", "/v1.44/plugins")
