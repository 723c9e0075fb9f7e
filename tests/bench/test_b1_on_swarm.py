"""B1 on real Docker engines: the rows of test_b1_change_to_effective.py, and what Docker and the backend took of them.

Two engines in network namespaces; watcher, planner and worker are processes, nginx is in the network of a container on
the overlay, and so are the requests. The backend is busybox's httpd, which listens a few milliseconds after it was
started: a Python would be measured instead of us. What it still took, Docker's own network included, is measured from
the proxy's place by a connection that this test tries by itself.
"""

from __future__ import annotations

import http.client
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock_simulator.client import SimulatorClient
from support.change_to_effective import AFTER_DOCKER, ROUNDS, Round, TaskProbe, floor, observe, split, table, trail
from support.swarm import images
from support.swarm.commands import until
from support.swarm.images import Images
from support.swarm.lab import Swarm
from support.swarm.product import NETWORK, PORT, Product

pytestmark = [pytest.mark.bench, pytest.mark.swarm, pytest.mark.timeout(1500)]
PAIRS = (
    ("· Docker (outside B1): from the call of the API to running", "called", "running"),
    ("· from running to read by the watcher", "running", "seen"),
    *((f"· {label}", a, b) for label, a, b in AFTER_DOCKER),
    ("beside: from running to the first connection that is accepted (floor)", "running", "accepted"),
    ("**running to effective, less that floor**", "accepted", "end"),
)
_SECOND = 1_000_000_000
_ANSWER = "mkdir /tmp/www && echo $VERSION > /tmp/www/index.html && exec busybox httpd -f -p 8080 -h /tmp/www"


@pytest.fixture
def product(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    # Not tmp_path: a unix socket's path may have 107 bytes.
    images = Images(tmp_path_factory.mktemp("images")).basic()
    lab = Swarm(Path(tempfile.mkdtemp(prefix="il-b1-")), images=images, nodes=2)
    with lab, Product(lab, tmp_path) as running:
        yield running


class Connection(threading.Thread):
    """From the proxy's network: when a task's address first accepted. Starts when the task is seen running.

    Not before: an address that nobody has yet would be looked for once a second, by nginx as well.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        [place] = [a for a in task["NetworksAttachments"] if a["Network"]["Spec"]["Name"] == NETWORK]
        self._address = place["Addresses"][0].partition("/")[0]
        self.accepted = 0.0

    def run(self) -> None:
        deadline = time.monotonic() + 15
        while not self.accepted and time.monotonic() < deadline:
            with socket.socket() as attempt:
                attempt.settimeout(0.2)
                if attempt.connect_ex((self._address, 8080)) == 0:
                    self.accepted = time.time()
            time.sleep(0.002)


class Bench:
    """The engine's API, and one change at a time."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.api = SimulatorClient(product.swarm.manager().socket)

    def create(self, name: str, node: str, replicas: int = 1) -> None:
        labels = {"com.docker.lb.hosts": f"{name}.test", "com.docker.lb.port": "8080"}
        # SIGKILL: no process 1 ends on SIGTERM by itself, and what comes after its end is not measured.
        container = {"Image": images.PYTHON, "Command": ["sh", "-c", _ANSWER], "User": "65534", "Env": ["VERSION=0"]}
        template = {
            "ContainerSpec": container | {"StopSignal": "SIGKILL"},
            "Networks": [{"Target": NETWORK}],
            "Placement": {"Constraints": [f"node.hostname=={node}"]},
        }
        update = {"Parallelism": 1, "Order": "start-first", "Monitor": _SECOND // 2}
        spec = {"Name": name, "Labels": labels, "TaskTemplate": template, "UpdateConfig": update}
        spec |= {"Mode": {"Replicated": {"Replicas": replicas}}}
        self.api.call("POST", "/v1.41/services/create", spec)

    def roll(self, name: str, version: int) -> None:
        found = self.api.call("GET", f"/v1.41/services/{name}")
        found["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = [f"VERSION={version}"]
        self.api.call("POST", f"/v1.41/services/{name}/update?version={found['Version']['Index']}", found["Spec"])

    def version(self, host: str) -> str:
        """What answers through the proxy: the version that the backend has; empty where none answers."""
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=2)
        try:
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            said = answer.read().decode().strip()
            return said if answer.status == 200 else ""
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def measure(self, name: str, change: Callable[[], None], right: str) -> Round:
        found = self.api.docker_tasks() if name == "roll" else []
        connections: list[Connection] = []

        def connect(task: dict[str, Any]) -> None:
            connections.append(Connection(task))
            connections[0].start()

        probe = TaskProbe(self.api.socket, name, [task["ID"] for task in found], connect)
        times = {"called": time.time()}
        change()
        end = observe(probe, lambda: self.version(f"{name}.test") == right, 30)
        [connection] = connections
        connection.join()
        times |= {"running": probe.began, "accepted": max(probe.began, connection.accepted), "end": end}
        parts = split(times | trail(self.product.bus, "default", end), PAIRS)
        return Round(1000 * (end - probe.began), parts)

    def quiet(self, running: int) -> None:
        """Waits until nothing moves: so many containers, none on its way."""

        def still() -> bool:
            states = [(t["Status"]["State"], t["DesiredState"]) for t in self.api.docker_tasks()]
            moving = [s for s in states if s[1] != "running" and s[0] not in {"shutdown", "complete", "failed"}]
            return not moving and states.count(("running", "running")) == running

        until(still, 60, "the Swarm is quiet", every=0.2)


def new_services(bench: Bench, node: str) -> list[Round]:
    rounds = []
    for n in range(ROUNDS):
        name = f"new-{node}-{n}"
        rounds.append(bench.measure(name, lambda name=name: bench.create(name, node), "0"))  # type: ignore[misc]
        bench.api.remove(name)
        bench.quiet(0)
    return rounds


def updates(bench: Bench, node: str) -> list[Round]:
    bench.create("roll", node)
    until(lambda: bench.version("roll.test") == "0", 30, "the first version answers")
    bench.quiet(1)
    rounds = []
    for n in range(1, ROUNDS + 1):
        rounds.append(bench.measure("roll", lambda n=n: bench.roll("roll", n), str(n)))  # type: ignore[misc]
        until(lambda: bench.product.settled("roll"), 30, "the update ends", every=0.2)
        bench.quiet(1)
    bench.api.remove("roll")
    bench.quiet(0)
    return rounds


def test_b1_on_swarm(product: Product) -> None:
    bench = Bench(product)
    with product.swarm.among_clients((1, "gate")):
        created = new_services(bench, "node1")
        rolled = updates(bench, "node1")
        far = new_services(bench, "node2")
    table("a new service with a new host", created)
    table("a start-first update of one task: until the new one alone answers", rolled)
    table("a new service with a new host, its task on another node than the proxy", far)
    floor()
    assert all(r.total > 0 for r in created + rolled + far)
