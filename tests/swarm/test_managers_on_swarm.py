"""Managers that are lost: the leader, then the quorum. Three managers, and a worker with the proxy and the bus."""

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
WORKER = 4


@pytest.fixture(scope="module")
def stack(store: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # With Swarm's own heartbeat: workers notice a cut-off leader only after some seconds, and with a shorter
    # one its successor takes them for lost meanwhile and starts all their tasks anew.
    with Swarm(
        Path(tempfile.mkdtemp(prefix="il-sw-")), images=store.product(), nodes=4, managers=3, heartbeat=5.0
    ) as swarm:
        folder = tmp_path_factory.mktemp("secrets")
        with production(swarm, folder, bus=WORKER, public=[WORKER], internal=[]) as running:
            running.wait_healthy("proxy")
            running.service("shop", replicas=4, options=("--update-parallelism", "0"))
            running.wait_answers("shop.test", tasks=4)
            yield running


def leader(swarm: Swarm) -> int:
    listed = swarm.docker("node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}").splitlines()
    return next(int(line.split()[0].removeprefix("node")) for line in listed if line.endswith("Leader"))


def test_the_leader_is_lost(stack: Stack) -> None:
    swarm = stack.swarm
    first = leader(swarm)
    with stack.load(["shop.test"]) as load:
        time.sleep(1)
        at = time.time()
        swarm.cut(first)
        swarm.nodes[first].kill()
        until(lambda: leads_another(swarm, first), 60, "another leads")
        # It counts the lost node's tasks as running until it sees the node down.
        until(lambda: first not in swarm.ready(), 90, "the lost node is down")
        stack.wait_answers("shop.test", tasks=4)
        stack.scale("shop", 6)
        stack.wait_answers("shop.test", tasks=6)
    swarm.heal(first)
    swarm.nodes[first].start()
    judge_loss(load.report(), at, "the leader lost")
    until(lambda: len(swarm.ready()) == 4, 90, "all nodes are ready")


def leads_another(swarm: Swarm, first: int) -> bool:
    try:
        return leader(swarm) != first
    except (AssertionError, StopIteration):
        return False


def test_the_quorum_is_lost(stack: Stack) -> None:
    """Everything keeps serving, and stale is said."""
    swarm = stack.swarm
    # Only on nodes that stay, so that what is lost is the quorum alone.
    stack.update("shop", "--constraint-add", "node.role == worker", "--force")
    stack.wait_answers("shop.test", tasks=6)
    until(lambda: stack.settled("shop"), 60, "the update ends")
    stack.wait_drained()
    with stack.load(["shop.test"]) as load:
        time.sleep(1)
        for node in (1, 2):
            swarm.cut(node)
            swarm.nodes[node].kill()
        until(lambda: says_stale(stack), 30, "stale is said", every=0.5)
        time.sleep(5)
        answers = [stack.ask("shop.test") for _ in range(12)]
    assert {answer.status for answer in answers} == {200}
    report = load.report()
    print(f"\nthe quorum lost: {report}; p99 {report.p99_ms:.0f} ms")
    assert report.failures == ()
    for node in (1, 2):
        swarm.heal(node)
        swarm.nodes[node].start()
    until(lambda: len(swarm.ready()) == 4, 120, "all nodes are ready")
    until(lambda: says_fresh(stack), 60, "fresh again", every=0.5)
    stack.scale("shop", 4)
    stack.wait_answers("shop.test", tasks=4)


def says_fresh(stack: Stack) -> bool:
    try:
        return not says_stale(stack)
    except AssertionError:
        # Swarm, back again, may replace the container that is asked.
        return False


def says_stale(stack: Stack) -> bool:
    [region] = stack.status().regions
    return region.silent_for is not None or region.watcher is None or region.watcher.stale_since is not None
