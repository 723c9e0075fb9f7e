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
from support.swarm.production import production
from support.swarm.stack import Stack

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
CONNECT_TIMEOUT_MS = 1000


@pytest.fixture(scope="module")
def stack(store: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), nodes=3) as swarm:
        store.product(swarm)
        folder = tmp_path_factory.mktemp("secrets")
        with production(swarm, folder, bus=1, public=[2], internal=[3]) as running:
            running.wait_healthy("proxy")
            # Three on each worker.
            running.service("shop", replicas=6, options=("--constraint", "node.role == worker"))
            running.wait_answers("shop.test", tasks=6)
            yield running


def test_lost(stack: Stack) -> None:
    with stack.load(["shop.test"]) as load:
        time.sleep(2)
        at = time.time()
        stack.swarm.cut(3)
        until(lambda: 3 not in stack.swarm.ready(), 60, "the node is down")
        print("down after", time.time() - at)
        time.sleep(3)
    report = load.report()
    print(report, report.p50_ms, report.p99_ms, report.most_ms)
    for f in report.failures:
        print(round(f.began - at, 3), round(f.at - at, 3), f.method, f.kind, f.what)
