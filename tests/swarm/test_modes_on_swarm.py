"""Virtual IPs, and ports of nodes, in place of tasks' own addresses: cases 21 to 23 on real engines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from interlock.model.outcome import Drain
from support.swarm import images
from support.swarm.commands import run, until
from support.swarm.images import Images
from support.swarm.proxy import BOTH, Proxy
from support.swarm.stack import Stack, single
from support.swarm.vips import forwarding

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(300)]
BACK = """
version: "3.8"
services:
  proxy: {networks: [bus, web, back]}
  haproxy: {networks: [bus, web, back]}
networks:
  back: {name: back, driver: overlay, attachable: true}
"""
NEXT = "il-lab/backend:2"
QUICK = ("--update-monitor", "100ms", "--restart-delay", "100ms", "--stop-grace-period", "2s")
HEALTH = ("python3", "-m", "interlock.runtime.health")
FILES = (
    "import glob, os; print(sorted((f, os.stat(f).st_ino, os.stat(f).st_mtime_ns)"
    " for f in glob.glob('/var/lib/interlock/**/hosts/*.c*f*', recursive=True)))"
)


@pytest.fixture(scope="module")
def stack(store: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    more = tmp_path_factory.mktemp("stack") / "back.yml"
    more.write_text(BACK)
    with single(store, more, nodes=2, places=BOTH) as running, forwarding(running.swarm):
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


def upstreams(proxy: Proxy, host: str, of: int = 8) -> set[str]:
    """Who answers, by the proxy's word; a status that is not 200 counts as its number."""
    answers = [proxy.ask(host, "/?close=1") for _ in range(of)]
    return {a.headers.get("x-upstream-addr", "") if a.status == 200 else str(a.status) for a in answers}


def wait_upstreams(stack: Stack, host: str, wanted: Callable[[], set[str]], what: str) -> None:
    """Until just those answer, by each proxy."""
    stack.until_each(lambda proxy: upstreams(proxy, host) == wanted(), 30, what)


class State(NamedTuple):
    """Of a proxy: its container, its files of hosts, and what its worker has rendered, written and reloaded."""

    container: str
    files: str
    counters: dict[str, float]


def states(stack: Stack) -> dict[str, State]:
    """Of each proxy, by its kind."""
    outcomes = {outcome.extension: outcome for outcome in stack.outcomes()}
    found = {}
    for proxy in stack.proxies:
        [(node, id_)] = stack.containers(proxy.part)
        names = ("hosts_rendered", "files_written", "bytes_written", "reloads")
        counters = {name: outcomes[proxy.kind].counters[name] for name in names}
        found[proxy.kind] = State(id_, node.docker("exec", id_, "python3", "-c", FILES), counters)
    return found


def test_case_21_tasks_behind_a_virtual_ip_change_nothing_in_the_proxy(stack: Stack) -> None:
    options = (*QUICK, "--update-parallelism", "2")
    stack.service("demo", replicas=4, hosts="demo.local", backend_mode="vip", network="web", options=options)
    wait_upstreams(stack, "demo.local", lambda: {vip(stack, "demo")}, "the virtual IP serves")
    until(lambda: len(running(stack, "demo")) == 4, 30, "all tasks run")
    # It shares out connections.
    stack.until_each(
        lambda proxy: len({proxy.ask("demo.local", "/?close=1").task for _ in range(12)}) == 4, 10, "all four answer"
    )
    before = states(stack)

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
    stack.until_each(lambda proxy: {proxy.ask("demo.local").version for _ in range(6)} == {"2"}, 10, "new ones answer")
    assert states(stack) == before

    # Another network is another virtual IP; nothing runs behind it until the first task is replaced.
    stack.update("demo", "--network-add", "back", "--label-add", "com.docker.lb.network=back")
    wait_upstreams(stack, "demo.local", lambda: {vip(stack, "demo", "back")}, "the other network serves")
    stack.remove("demo")
    stack.wait_unrouted("demo.local")
    assert [kind for kind, state in states(stack).items() if "demo.local" in state.files] == []
    stack.service("demo", hosts="demo.local", backend_mode="vip")
    wait_upstreams(stack, "demo.local", lambda: {vip(stack, "demo")}, "it serves again")
    assert [state.container for state in states(stack).values()] == [state.container for state in before.values()]


def test_without_a_task_the_answer_is_503(stack: Stack) -> None:
    """A stop-first update of the only task, then none at all: 503 from when the proxy has let go to the first 200."""
    stack.service("demo", hosts="demo.local", backend_mode="vip", options=(*QUICK, "--env", "START_DELAY=0.5"))
    wait_upstreams(stack, "demo.local", lambda: {vip(stack, "demo")}, "it serves")
    stack.update("demo", "--env-add", "VERSION=2")
    # Of both at once: neither may be late.
    seen: dict[str, list[int]] = {proxy.kind: [200] for proxy in stack.proxies}

    def served() -> bool:
        for proxy in stack.proxies:
            seen[proxy.kind].append(proxy.ask("demo.local").status)
        return all(503 in statuses and statuses[-1] == 200 for statuses in seen.values())

    until(served, 30, "they have let go, and the new one serves", every=0.0)
    for kind, statuses in seen.items():
        assert set(statuses) == {200, 503}, kind
        # One outage, and no other.
        assert len([n for n, status in enumerate(statuses) if status == 503 != statuses[n - 1]]) == 1, kind
    assert {proxy.ask("demo.local").version for proxy in stack.proxies} == {"2"}
    stack.scale("demo", 0)
    stack.wait_unrouted("demo.local")
    assert stack.status().clusters[0].problems == ()


def test_case_21_a_canary_is_half_however_many_tasks(stack: Stack) -> None:
    stack.service("v1", replicas=4, hosts="demo.local", backend_mode="vip")
    stack.service("v2", hosts="demo.local", backend_mode="vip", options=("--env", "VERSION=2"))
    wait_upstreams(stack, "demo.local", lambda: {vip(stack, "v1"), vip(stack, "v2")}, "both serve")
    for proxy in stack.proxies:
        versions = [proxy.ask("demo.local").version for _ in range(40)]
        assert 0.4 < versions.count("2") / 40 < 0.6, proxy


def test_case_22_both_modes_side_by_side(stack: Stack) -> None:
    """On one host; and a service without virtual IP, until it has one."""
    rr = (*QUICK, "--update-order", "start-first", "--endpoint-mode", "dnsrr")
    stack.service("rr", hosts="rr.local", backend_mode="vip", options=rr)
    stack.service("tasks", replicas=2, hosts="demo.local")
    stack.service("virtual", replicas=2, hosts="demo.local", backend_mode="vip")

    def wanted() -> set[str]:
        places = [task["NetworksAttachments"][0]["Addresses"][0] for task in running(stack, "tasks")]
        return {vip(stack, "virtual"), *(f"{address.partition('/')[0]}:8080" for address in places)}

    until(lambda: len(wanted()) == 3, 30, "all three have an address")
    wait_upstreams(stack, "demo.local", wanted, "all three serve")
    [problem] = stack.status().clusters[0].problems
    assert (problem.service, problem.key) == ("rr", "com.docker.lb.backend_mode")
    assert "docker service update --endpoint-mode vip rr" in problem.remedy
    stack.update("rr", "--endpoint-mode", "vip")
    wait_upstreams(stack, "rr.local", lambda: {vip(stack, "rr")}, "it has a virtual IP and serves")
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
    wait_upstreams(stack, "demo.local", lambda: on_nodes(stack, "demo"), "both serve")
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
    wait_upstreams(stack, "demo.local", lambda: found, "both serve again")
    # Swarm gives such a task a second.
    stack.scale("demo", 1)
    until(lambda: len(on_nodes(stack, "demo")) == 1, 20, "one is left")
    stack.until_each(lambda proxy: upstreams(proxy, "demo.local") < found, 20, "one is left")

    def drained() -> list[Drain]:
        """The last drain of each proxy."""
        return [outcome.drains[-1] for outcome in stack.outcomes() if outcome.drains]

    until(lambda: [drain.service for drain in drained()] == ["demo", "demo"], 10, "the drains are told")
    for drain in drained():
        assert drain.margin == pytest.approx(1.0 - (drain.let_go_at - drain.desired_at))


def test_while_addresses_are_in_doubt_neither_is_denied(stack: Stack) -> None:
    """DNS gives a virtual IP by another name than tasks, and knows nothing of a port of a node."""
    stack.service("virtual", replicas=2, backend_mode="vip")
    stack.service("noded", networks=(), options=("--publish", "mode=host,target=8080"))
    wait_upstreams(stack, "virtual.test", lambda: {vip(stack, "virtual")}, "the virtual IP serves")
    wait_upstreams(stack, "noded.test", lambda: on_nodes(stack, "noded"), "the port serves")
    [(node, bus)] = stack.containers("bus")
    proxies = [stack.containers(proxy.part)[0] for proxy in stack.proxies]
    node.docker("pause", bus)
    try:
        for at, id_ in proxies:
            health = partial(at.docker, "exec", id_, *HEALTH, check=False)
            until(lambda: "stale" in health(), 20, "the bus is missed", every=0.2)  # noqa: B023
    finally:
        node.docker("unpause", bus)
    # Doubt goes on for a while, and every half a second DNS is asked.
    time.sleep(2.0)
    for proxy in stack.proxies:
        assert upstreams(proxy, "virtual.test") == {vip(stack, "virtual")}, proxy
        assert upstreams(proxy, "noded.test") == on_nodes(stack, "noded"), proxy
    assert [outcome.denied for outcome in stack.outcomes()] == [(), ()]
