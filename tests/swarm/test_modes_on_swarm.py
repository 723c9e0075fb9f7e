"""Virtual IPs, and ports of nodes, in place of tasks' own addresses: cases 21 to 23 on real engines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.swarm import images
from support.swarm.commands import run, until
from support.swarm.images import Images
from support.swarm.stack import Stack, single
from support.swarm.vips import forwarding

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(300)]
BACK = """
version: "3.8"
services:
  proxy: {networks: [bus, web, back]}
networks:
  back: {name: back, driver: overlay, attachable: true}
"""
NEXT = "il-lab/backend:2"
QUICK = ("--update-monitor", "100ms", "--restart-delay", "100ms", "--stop-grace-period", "2s")
HEALTH = ("python3", "-m", "interlock.runtime.health")
FILES = (
    "import glob, os; print(sorted((f, os.stat(f).st_ino, os.stat(f).st_mtime_ns)"
    " for f in glob.glob('/var/lib/interlock/**/hosts/*.conf', recursive=True)))"
)


@pytest.fixture(scope="module")
def stack(store: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    more = tmp_path_factory.mktemp("stack") / "back.yml"
    more.write_text(BACK)
    with single(store, more, nodes=2) as running, forwarding(running.swarm):
        for node in running.swarm.nodes.values():
            node.docker("tag", images.BACKEND, NEXT)
        running.wait_healthy("watcher")
        yield running


@pytest.fixture(autouse=True)
def empty(stack: Stack) -> Iterator[None]:
    yield
    stack.clear()


def inspected(stack: Stack, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stack.docker(*words))
    return found


def vip(stack: Stack, service: str, network: str = "web") -> str:
    """Its virtual IP, with the backend's port."""
    [wanted] = inspected(stack, "network", "inspect", network)
    [found] = inspected(stack, "service", "inspect", service)
    [given] = [one["Addr"] for one in found["Endpoint"]["VirtualIPs"] if one["NetworkID"] == wanted["Id"]]
    return f"{given.partition('/')[0]}:8080"


def running(stack: Stack, service: str) -> list[dict[str, Any]]:
    """Its tasks that run and are to."""
    ids = stack.docker("service", "ps", "-q", "--no-trunc", "-f", "desired-state=running", service).split()
    return [task for task in inspected(stack, "inspect", *ids) if task["Status"]["State"] == "running"] if ids else []


def upstreams(stack: Stack, host: str, of: int = 8) -> set[str]:
    """Who answers, by the proxy's word; a status that is not 200 counts as its number."""
    answers = [stack.ask(host, "/?close=1") for _ in range(of)]
    return {a.headers.get("x-upstream-addr", "") if a.status == 200 else str(a.status) for a in answers}


def proxy(stack: Stack) -> tuple[str, str, dict[str, float]]:
    """The proxy's container, its files of hosts, and what its worker has rendered and written."""
    [(node, id_)] = stack.containers("proxy")
    [outcome] = stack.outcomes()
    counters = {name: outcome.counters[name] for name in ("hosts_rendered", "files_written", "bytes_written")}
    return id_, node.docker("exec", id_, "python3", "-c", FILES), counters


def test_case_21_tasks_behind_a_virtual_ip_change_nothing_in_the_proxy(stack: Stack) -> None:
    options = (*QUICK, "--update-parallelism", "2")
    stack.service("demo", replicas=4, hosts="demo.local", backend_mode="vip", network="web", options=options)
    until(lambda: upstreams(stack, "demo.local") == {vip(stack, "demo")}, 30, "the virtual IP serves")
    until(lambda: len(running(stack, "demo")) == 4, 30, "all tasks run")
    # It shares out connections.
    until(lambda: len({stack.ask("demo.local", "/?close=1").task for _ in range(12)}) == 4, 10, "all four answer")
    before = proxy(stack)

    for kind in ("config", "secret"):
        run("sh", "-c", f"echo x | docker -H {stack.swarm.manager().host} {kind} create thing -")
    stack.scale("demo", 3)
    more = ("--env-add", "VERSION=2", "--config-add", "thing", "--secret-add", "thing")
    stack.update("demo", "--image", NEXT, *more)
    until(lambda: stack.settled("demo") and len(running(stack, "demo")) == 3, 40, "they are replaced", every=0.3)
    assert {task["Spec"]["ContainerSpec"]["Image"] for task in running(stack, "demo")} == {NEXT}
    # One ends, and another takes its place.
    [node, *_] = [n for n in stack.swarm.nodes.values() if n.docker("ps", "-q", "-f", "name=demo")]
    victim = node.docker("ps", "-q", "-f", "name=demo").split()[0]
    tasks = {task["ID"] for task in running(stack, "demo")}
    node.docker("kill", "-s", "KILL", victim)
    until(lambda: len(new := running(stack, "demo")) == 3 and {t["ID"] for t in new} != tasks, 20, "it is replaced")
    until(lambda: {stack.ask("demo.local").version for _ in range(6)} == {"2"}, 10, "the new ones answer")
    assert proxy(stack) == before

    # Another network is another virtual IP; nothing runs behind it until the first task is replaced.
    stack.update("demo", "--network-add", "back", "--label-add", "com.docker.lb.network=back")
    until(lambda: upstreams(stack, "demo.local") == {vip(stack, "demo", "back")}, 30, "the other network serves")
    stack.remove("demo")
    stack.wait_unrouted("demo.local")
    assert "demo.local" not in proxy(stack)[1]
    stack.service("demo", hosts="demo.local", backend_mode="vip")
    until(lambda: upstreams(stack, "demo.local") == {vip(stack, "demo")}, 30, "it serves again")
    assert proxy(stack)[0] == before[0]


def test_without_a_task_the_answer_is_503(stack: Stack) -> None:
    """A stop-first update of the only task, then none at all: 503 from when the proxy has let go to the first 200."""
    stack.service("demo", hosts="demo.local", backend_mode="vip", options=(*QUICK, "--env", "START_DELAY=0.5"))
    until(lambda: upstreams(stack, "demo.local") == {vip(stack, "demo")}, 30, "it serves")
    stack.update("demo", "--env-add", "VERSION=2")
    until(lambda: stack.ask("demo.local").status == 503, 10, "the proxy has let go", every=0.0)
    seen: list[int] = []

    def served() -> bool:
        seen.append(stack.ask("demo.local").status)
        return seen[-1] == 200

    until(served, 20, "the new one serves", every=0.0)
    assert set(seen[:-1]) == {503}
    assert stack.ask("demo.local").version == "2"
    stack.scale("demo", 0)
    stack.wait_unrouted("demo.local")
    assert stack.status().clusters[0].problems == ()


def test_case_21_a_canary_is_half_however_many_tasks(stack: Stack) -> None:
    stack.service("v1", replicas=4, hosts="demo.local", backend_mode="vip")
    stack.service("v2", hosts="demo.local", backend_mode="vip", options=("--env", "VERSION=2"))
    until(lambda: upstreams(stack, "demo.local") == {vip(stack, "v1"), vip(stack, "v2")}, 30, "both serve")
    versions = [stack.ask("demo.local").version for _ in range(40)]
    assert 0.4 < versions.count("2") / 40 < 0.6


def test_case_22_both_modes_side_by_side(stack: Stack) -> None:
    """On one host; and a service without virtual IP, until it has one."""
    rr = (*QUICK, "--update-order", "start-first", "--endpoint-mode", "dnsrr")
    stack.service("rr", hosts="rr.local", backend_mode="vip", options=rr)
    stack.service("tasks", replicas=2, hosts="demo.local")
    stack.service("virtual", replicas=2, hosts="demo.local", backend_mode="vip")

    def wanted() -> set[str]:
        places = [task["NetworksAttachments"][0]["Addresses"][0] for task in running(stack, "tasks")]
        return {vip(stack, "virtual"), *(f"{address.partition('/')[0]}:8080" for address in places)}

    until(lambda: len(found := wanted()) == 3 and upstreams(stack, "demo.local") == found, 30, "all three serve")
    [problem] = stack.status().clusters[0].problems
    assert (problem.service, problem.key) == ("rr", "com.docker.lb.backend_mode")
    assert "docker service update --endpoint-mode vip rr" in problem.remedy
    stack.update("rr", "--endpoint-mode", "vip")
    until(lambda: upstreams(stack, "rr.local") == {vip(stack, "rr")}, 30, "it has a virtual IP and serves")
    assert stack.status().clusters[0].problems == ()


def on_nodes(stack: Stack, service: str) -> set[str]:
    """The address of its node and the port there of each of its tasks, by Docker's word."""
    nodes = {
        one["ID"]: one["Status"]["Addr"]
        for one in inspected(stack, "node", "inspect", *stack.docker("node", "ls", "-q").split())
    }
    return {
        f"{nodes[task['NodeID']]}:{port['PublishedPort']}"
        for task in running(stack, service)
        for port in task["Status"]["PortStatus"].get("Ports") or ()
    }


def test_case_23_an_application_at_ports_of_its_nodes(stack: Stack) -> None:
    options = (*QUICK, "--publish", "mode=host,target=8080")
    stack.service("demo", replicas=2, networks=(), hosts="demo.local", options=options)
    until(lambda: len(on_nodes(stack, "demo")) == 2, 30, "both have a port")
    until(lambda: upstreams(stack, "demo.local") == on_nodes(stack, "demo"), 30, "both serve")
    found = on_nodes(stack, "demo")
    assert {place.partition(":")[0] for place in found} == {node.address for node in stack.swarm.nodes.values()}
    assert all(int(place.partition(":")[2]) > 1024 for place in found)
    # A label that names another port says what there is; the rest of its remedy is in the unit tests.
    stack.update("demo", "--label-add", "com.docker.lb.port=9090")
    until(lambda: stack.status().clusters[0].problems, 20, "it is a problem")
    [problem] = stack.status().clusters[0].problems
    assert (problem.service, problem.key, problem.value) == ("demo", "com.docker.lb.port", "9090")
    assert "8080/tcp in host mode" in problem.reason
    stack.update("demo", "--label-add", "com.docker.lb.port=8080")
    until(lambda: upstreams(stack, "demo.local") == found, 30, "both serve again")
    # Swarm gives such a task a second.
    stack.scale("demo", 1)
    until(lambda: len(on_nodes(stack, "demo")) == 1 and upstreams(stack, "demo.local") < found, 20, "one is left")
    until(lambda: any(d.service == "demo" for o in stack.outcomes() for d in o.drains[-1:]), 10, "the drain is told")
    [drain] = [outcome.drains[-1] for outcome in stack.outcomes()]
    assert drain.margin == pytest.approx(1.0 - (drain.let_go_at - drain.desired_at))


def test_while_addresses_are_in_doubt_neither_is_denied(stack: Stack) -> None:
    """DNS gives a virtual IP by another name than tasks, and knows nothing of a port of a node."""
    stack.service("virtual", replicas=2, backend_mode="vip")
    stack.service("noded", networks=(), options=("--publish", "mode=host,target=8080"))
    until(lambda: upstreams(stack, "virtual.test") == {vip(stack, "virtual")}, 30, "the virtual IP serves")
    until(lambda: upstreams(stack, "noded.test") == on_nodes(stack, "noded"), 30, "the port serves")
    [(node, bus)], [(at, id_)] = stack.containers("bus"), stack.containers("proxy")
    node.docker("pause", bus)
    try:
        until(lambda: "stale" in at.docker("exec", id_, *HEALTH, check=False), 20, "the bus is missed", every=0.2)
    finally:
        node.docker("unpause", bus)
    # Doubt goes on for a while, and every half a second DNS is asked.
    time.sleep(2.0)
    assert upstreams(stack, "virtual.test") == {vip(stack, "virtual")}
    assert upstreams(stack, "noded.test") == on_nodes(stack, "noded")
    assert [outcome.denied for outcome in stack.outcomes()] == [()]
