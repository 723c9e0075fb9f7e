"""Our images on a real Swarm under load: whatever an operator changes, no request fails."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

from interlock.model.outcome import Outcome
from interlock_demo.load import LoadReport
from support.swarm.commands import until
from support.swarm.images import Images
from support.swarm.stack import Stack, single

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
CHANGES = int(os.environ.get("SWARM_CHANGES", "50"))
STEADY = ("shop", "blog", "wiki")


@pytest.fixture(scope="module")
def stack(store: Images) -> Iterator[Stack]:
    with single(store, nodes=2) as running:
        yield running


def judged(report: LoadReport, outcomes: list[Outcome], what: str) -> None:
    """Says what there was, and that nothing failed."""
    drains = [drain for outcome in outcomes for drain in outcome.drains]
    margins = sorted(drain.margin for drain in drains)
    print(
        f"\n{what}: {report}, {report.posts} POST, {report.kept_alive} kept alive, {report.after_idle} after idling; "
        f"p99 {report.p99_ms:.0f} ms; {report.proxy_retries} retried by the proxy; "
        f"{len(drains)} drains, margin {margins[0]:.2f} to {margins[-1]:.2f} s"
    )
    assert report.failures == ()
    assert report.requests > 1000
    assert sum(outcome.drain_misses for outcome in outcomes) == 0
    assert margins[0] > 0


def test_both_rolling_updates(stack: Stack) -> None:
    for name in ("shop", "blog"):
        stack.service(name, replicas=3 if name == "shop" else 2)
    stack.wait_answers("shop.test", tasks=3)
    stack.wait_answers("blog.test", tasks=2)
    with stack.load(["shop.test", "blog.test"]) as load:
        for version, order in (("2", "start-first"), ("3", "stop-first")):
            for name, tasks in (("shop", 3), ("blog", 2)):
                stack.update(name, "--update-order", order, "--env-add", f"VERSION={version}")
                until(lambda name=name: stack.settled(name), 90, f"the {order} update ends", every=0.3)  # type: ignore[misc]
                stack.wait_answers(f"{name}.test", tasks=tasks, version=version)
        stack.wait_drained()
    judged(load.report(), stack.outcomes(), "both rolling updates of two services")
    stack.remove("shop", "blog")


class Changes:
    """Changes of every kind, of the services under load and of others beside them."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._random = random.Random(seed)
        self._version = 1
        self._others: list[str] = []
        self._made = 0
        self.done: list[str] = []

    def one(self) -> None:
        kinds: list[Callable[[], str]] = [self._scale, self._label, self._roll, self._add, self._remove, self._again]
        self.done.append(self._random.choice(kinds)())

    def _steady(self) -> str:
        return self._random.choice(STEADY)

    def _scale(self) -> str:
        name, replicas = self._steady(), self._random.randint(2, 4)
        self._stack.scale(name, replicas)
        return f"scale {name} to {replicas}"

    def _label(self) -> str:
        name = self._steady()
        hosts = f"{name}.test,{self._random.choice('abc')}.{name}.test"
        self._stack.update(name, "--label-add", f"com.docker.lb.hosts={hosts}")
        return f"label {name} {hosts}"

    def _roll(self) -> str:
        name, order = self._steady(), self._random.choice(["start-first", "stop-first"])
        self._version += 1
        self._stack.update(name, "--update-order", order, "--env-add", f"VERSION={self._version}")
        return f"roll {name} {order}"

    def _add(self) -> str:
        self._made += 1
        name = f"other{self._made}"
        self._stack.service(name, replicas=self._random.randint(1, 2))
        self._others.append(name)
        return f"create {name}"

    def _remove(self) -> str:
        if not self._others:
            return self._add()
        name = self._others.pop(self._random.randrange(len(self._others)))
        self._stack.remove(name)
        return f"remove {name}"

    def _again(self) -> str:
        if not self._others:
            return self._add()
        name = self._random.choice(self._others)
        self._stack.remove(name)
        self._stack.service(name)
        return f"remove and create {name}"


def test_mixed_changes(stack: Stack) -> None:
    seed = int(os.environ.get("SWARM_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
    for name in STEADY:
        stack.service(name, replicas=2)
    for name in STEADY:
        stack.wait_answers(f"{name}.test", tasks=2)
    changes = Changes(stack, seed)
    pace = random.Random(seed)
    with stack.load([f"{name}.test" for name in STEADY]) as load:
        for _ in range(CHANGES):
            changes.one()
            # Some come together, some apart.
            time.sleep(pace.choice([0.0, 0.2, 1.0]))
        until(lambda: all(stack.settled(name) for name in STEADY), 120, "all updates end", every=0.5)
        stack.wait_drained()
    print(f"\nseed {seed}: " + "; ".join(changes.done))
    judged(load.report(), stack.outcomes(), f"{CHANGES} mixed changes, seed {seed}")
