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
from support.swarm.stack import Stack

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
TASKS = 6


@pytest.fixture(scope="module")
def stack(store: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), images=store.product(), nodes=3) as swarm:
        folder = tmp_path_factory.mktemp("secrets")
        with production(swarm, folder, bus=1, public=[2], internal=[3], clusters=("us-east", "us-west")) as running:
            running.wait_healthy("proxy")
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
    stack.wait_answers("west.test", tasks=1, node=3)
    assert stack.ask("west.test", node=2).status == 503
    before = west()
    stack.service("east", service_cluster="us-east")
    stack.wait_answers("east.test", tasks=1, node=2)
    answer = stack.ask("east.test", node=3)
    assert (answer.status, answer.said) == (503, {})
    assert west() == before
    stack.remove("east", "west")
    stack.wait_unrouted("east.test", node=2)


def test_a_node_is_cut_off(stack: Stack) -> None:
    with stack.load(["shop.test"]) as load:
        time.sleep(2)
        at = time.time()
        stack.swarm.cut(3)
        until(lambda: 3 not in stack.swarm.ready(), 60, "the node is down")
        stack.wait_answers("shop.test", tasks=TASKS)
    noticed = sorted(said - at for said in stack.logged("proxy", "does not answer any more"))
    stack.swarm.heal(3)
    judge_loss(load.report(), at, "a worker cut off")
    print(f"silent endpoints were noticed {noticed[0]:.2f} to {noticed[-1]:.2f} s after the loss")
    assert len(noticed) >= TASKS // 2
    until(lambda: 3 in stack.swarm.ready(), 60, "the node is back")


def test_a_node_is_killed(stack: Stack) -> None:
    with stack.load(["shop.test"]) as load:
        time.sleep(2)
        at = time.time()
        stack.swarm.nodes[3].kill()
        until(lambda: 3 not in stack.swarm.ready(), 60, "the node is down")
        stack.wait_answers("shop.test", tasks=TASKS)
    judge_loss(load.report(), at, "a worker killed")
    stack.swarm.nodes[3].start()
    until(lambda: 3 in stack.swarm.ready(), 60, "the node is back")


def drain_misses(stack: Stack) -> int:
    return sum(outcome.drain_misses for outcome in stack.outcomes())


def test_a_node_is_drained(stack: Stack) -> None:
    before = drain_misses(stack)
    with stack.load(["shop.test"]) as load:
        time.sleep(1)
        stack.docker("node", "update", "--availability", "drain", "node3")
        until(lambda: not stack.swarm.nodes[3].docker("ps", "-q", "-f", "name=shop"), 60, "the node is empty")
        stack.wait_answers("shop.test", tasks=TASKS)
        stack.wait_drained()
    report = load.report()
    stack.docker("node", "update", "--availability", "active", "node3")
    print(f"\na worker drained: {report}; {report.proxy_retries} retried by the proxy")
    assert report.failures == ()
    assert drain_misses(stack) == before


def test_the_managers_engine_is_restarted(stack: Stack) -> None:
    """With it go the bus, the watchers and Docker's API: the proxies elsewhere serve on, and say that so."""
    # Swarm's own: with a shorter one the manager, back again, takes its workers for lost and starts their tasks anew.
    stack.docker("swarm", "update", "--dispatcher-heartbeat", "5s")
    time.sleep(2)
    with stack.load(["shop.test"]) as load:
        time.sleep(1)
        stack.swarm.nodes[1].stop()
        said: set[str] = set()

        def stale() -> bool:
            node = stack.swarm.nodes[2]
            id_ = node.docker("ps", "-q", "-f", "name=interlock_proxy").split()[0]
            said.add(node.docker("exec", id_, "python3", "-m", "interlock.runtime.health"))
            return any("stale" in text for text in said)

        until(stale, 30, "the proxy says that it is stale")
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
    report = load.report()
    print(f"\nthe manager's engine restarted: {report}; p99 {report.p99_ms:.0f} ms")
    assert report.failures == ()
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
    fresh = any(o.proxy.startswith("interlock_proxy.") for o in proxies) and not stale
    watchers = [region.watcher for region in status.regions]
    acts = all(watcher is not None and watcher.stale_since is None for watcher in watchers)
    return "" if fresh and acts else f"{stale}, {watchers}"
