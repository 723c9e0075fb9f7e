"""Nodes that are lost, drained or restarted, under load, with deploy/production.yml on a manager and two workers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.swarm.commands import until
from support.swarm.images import Images
from support.swarm.lab import Swarm
from support.swarm.lost import judge_loss
from support.swarm.production import production
from support.swarm.proxy import BOTH, Proxy
from support.swarm.stack import Stack

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
TASKS = 6
# Beside the nginx of the first service cluster, as deploy/haproxy.yml has it beside that of single.yml.
HAPROXY = """
version: "3.8"
services:
  haproxy:
    image: interlock/proxy:latest
    hostname: "{{.Service.Name}}.{{.Node.Hostname}}"
    read_only: true
    cap_drop: [ALL]
    networks: [bus, web]
    ports:
      - {target: 8080, published: 8081, protocol: tcp, mode: host}
    environment:
      INTERLOCK_BUS_FILE: /run/secrets/interlock-proxy
      INTERLOCK_CLUSTER: us-east
      INTERLOCK_EXTENSION: haproxy
    secrets:
      - {source: interlock-proxy, uid: "65532", gid: "65532", mode: 0400}
    volumes:
      - haproxy:/var/lib/interlock
      - {type: tmpfs, target: /run/interlock}
    stop_grace_period: 30s
    deploy:
      mode: global
      placement: {constraints: [node.labels.interlock.proxy == public]}
volumes:
  haproxy:
"""


@pytest.fixture(scope="module")
def stack(store: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), images=store.product(), nodes=3) as swarm:
        folder = tmp_path_factory.mktemp("secrets")
        (more := folder / "haproxy.yml").write_text(HAPROXY)
        with production(
            swarm, folder, more, bus=1, public=[2], internal=[3], clusters=("us-east", "us-west"), places=BOTH
        ) as running:
            for proxy in running.proxies:
                running.wait_healthy(proxy.part)
            running.service(
                "shop", replicas=TASKS, options=("--constraint", "node.role == worker"), service_cluster="us-east"
            )
            yield running


@pytest.fixture(autouse=True)
def spread(stack: Stack) -> None:
    """Three tasks on each worker again."""
    stack.docker("node", "update", "--availability", "active", "node3")
    if len(stack.swarm.nodes[3].docker("ps", "-q", "-f", "name=shop").split()) != TASKS // 2:
        stack.update("shop", "--force", "--update-parallelism", "0")
    until(lambda: len(stack.swarm.nodes[3].docker("ps", "-q", "-f", "name=shop").split()) == TASKS // 2, 60, "spread")
    stack.wait_answers("shop.test", tasks=TASKS)
    until(lambda: stack.settled("shop"), 60, "the update ends")


def test_case_27_service_clusters(stack: Stack) -> None:
    def west() -> tuple[object, list[str]]:
        [cluster] = [c for c in stack.status().clusters if c.cluster == "us-west"]
        return cluster.version, [id_ for _, id_ in stack.containers("proxy-internal")]

    stack.service("west", service_cluster="us-west")
    until(lambda: stack.ask("west.test", node=3).status == 200, 60, "west serves")
    assert [proxy.ask("west.test").status for proxy in stack.proxies] == [503, 503]
    before = west()
    stack.service("east", service_cluster="us-east")
    stack.wait_answers("east.test", tasks=1, node=2)
    answer = stack.ask("east.test", node=3)
    assert (answer.status, answer.said) == (503, {})
    assert west() == before
    stack.remove("east", "west")
    stack.wait_unrouted("east.test", node=2)


def test_a_node_is_cut_off(stack: Stack) -> None:
    with stack.loads(["shop.test"]) as loads:
        time.sleep(2)
        at = time.time()
        stack.swarm.cut(3)
        until(lambda: 3 not in stack.swarm.ready(), 60, "the node is down")
        stack.wait_answers("shop.test", tasks=TASKS)
    noticed = {
        proxy.kind: sorted(said - at for said in stack.logged(proxy.part, "does not answer any more"))
        for proxy in stack.proxies
    }
    stack.swarm.heal(3)
    for kind, load in loads.items():
        judge_loss(load.report(), at, f"a worker cut off, {kind}")
        print(f"silent endpoints were noticed {noticed[kind][0]:.2f} to {noticed[kind][-1]:.2f} s after the loss")
        assert len(noticed[kind]) >= TASKS // 2, kind
    until(lambda: 3 in stack.swarm.ready(), 60, "the node is back")


def test_a_node_is_killed(stack: Stack) -> None:
    with stack.loads(["shop.test"]) as loads:
        time.sleep(2)
        at = time.time()
        stack.swarm.nodes[3].kill()
        until(lambda: 3 not in stack.swarm.ready(), 60, "the node is down")
        stack.wait_answers("shop.test", tasks=TASKS)
    for kind, load in loads.items():
        judge_loss(load.report(), at, f"a worker killed, {kind}")
    stack.swarm.nodes[3].start()
    until(lambda: 3 in stack.swarm.ready(), 60, "the node is back")


def drain_misses(stack: Stack) -> int:
    return sum(outcome.drain_misses for outcome in stack.outcomes())


def test_a_node_is_drained(stack: Stack) -> None:
    before = drain_misses(stack)
    with stack.loads(["shop.test"]) as loads:
        time.sleep(1)
        stack.docker("node", "update", "--availability", "drain", "node3")
        until(lambda: not stack.swarm.nodes[3].docker("ps", "-q", "-f", "name=shop"), 60, "the node is empty")
        stack.wait_answers("shop.test", tasks=TASKS)
        stack.wait_drained()
    stack.docker("node", "update", "--availability", "active", "node3")
    for kind, load in loads.items():
        report = load.report()
        print(f"\na worker drained, {kind}: {report}; {report.proxy_retries} retried by the proxy")
        assert report.failures == (), kind
    assert drain_misses(stack) == before


def test_the_managers_engine_is_restarted(stack: Stack) -> None:
    """With it go the bus, the watchers and Docker's API: the proxies elsewhere serve on, and say that so."""
    # Swarm's own: with a shorter one the manager, back again, takes its workers for lost and starts their tasks anew.
    stack.docker("swarm", "update", "--dispatcher-heartbeat", "5s")
    time.sleep(2)
    with stack.loads(["shop.test"]) as loads:
        time.sleep(1)
        stack.swarm.nodes[1].stop()

        def stale(proxy: Proxy) -> bool:
            node = stack.swarm.nodes[2]
            id_ = node.docker("ps", "-q", "-f", f"name={proxy.service}").split()[0]
            return "stale" in node.docker("exec", id_, "python3", "-m", "interlock.runtime.health")

        stack.until_each(stale, 30, "it is said that it is stale")
        stack.swarm.nodes[1].start()
        until(lambda: len(stack.swarm.ready()) == 3, 60, "all nodes are ready")
        why = [""]

        def fresh() -> bool:
            why[0] = stale_now(stack)
            return not why[0]

        try:
            until(fresh, 90, "fresh again", every=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {why[0]}") from error
        stack.wait_answers("shop.test", tasks=TASKS)
    for kind, load in loads.items():
        report = load.report()
        print(f"\nthe manager's engine restarted, {kind}: {report}; p99 {report.p99_ms:.0f} ms")
        assert report.failures == (), kind
    stack.update("shop", "--label-add", "com.docker.lb.hosts=shop.test,again.test")
    stack.wait_answers("again.test", tasks=TASKS)


def stale_now(stack: Stack) -> str:
    """Why something is stale; empty where nothing is."""
    try:
        status = stack.status()
    except (AssertionError, IndexError) as error:
        return str(error)
    proxies = [proxy.outcome for cluster in status.clusters for proxy in cluster.proxies]
    stale = [o.proxy for o in proxies if o.stale_since is not None]
    fresh = all(any(o.proxy.startswith(f"{p.service}.") for o in proxies) for p in stack.proxies) and not stale
    watchers = [region.watcher for region in status.regions]
    acts = all(watcher is not None and watcher.stale_since is None for watcher in watchers)
    return "" if fresh and acts else f"{stale}, {watchers}"
