"""Our images on a real Swarm under load, both proxies at once: whatever an operator changes, no request fails."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from interlock.model.outcome import Outcome
from interlock_demo.load import Load
from support.swarm.commands import until
from support.swarm.images import Images
from support.swarm.proxy import BOTH
from support.swarm.stack import Stack, single

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
STEADY = ("shop", "blog", "wiki")


@pytest.fixture(scope="module")
def stack(store: Images) -> Iterator[Stack]:
    with single(store, nodes=2, places=BOTH) as running:
        yield running


def judged(loads: Mapping[str, Load], outcomes: list[Outcome], what: str) -> None:
    """Says what there was, and that nothing failed, for each proxy."""
    for outcome in outcomes:
        report = loads[outcome.extension].report()
        margins = sorted(drain.margin for drain in outcome.drains)
        print(
            f"\n{what}, {outcome.extension}: {report}, {report.posts} POST, {report.kept_alive} kept alive, "
            f"{report.after_idle} after idling; p99 {report.p99_ms:.0f} ms; {report.proxy_retries} retried; "
            f"{len(outcome.drains)} drains, margin {margins[0]:.2f} to {margins[-1]:.2f} s; "
            f"{outcome.counters['reloads']:.0f} reloads"
        )
        assert report.failures == (), outcome.extension
        assert report.requests > 1000, outcome.extension
        assert outcome.drain_misses == 0, outcome.extension
        assert margins[0] > 0, outcome.extension
    assert sorted(outcome.extension for outcome in outcomes) == sorted(loads)


def test_both_rolling_updates(stack: Stack) -> None:
    for name in ("shop", "blog"):
        stack.service(name, replicas=3 if name == "shop" else 2)
    stack.wait_answers("shop.test", tasks=3)
    stack.wait_answers("blog.test", tasks=2)
    with stack.loads(["shop.test", "blog.test"]) as loads:
        for version, order in (("2", "start-first"), ("3", "stop-first")):
            for name, tasks in (("shop", 3), ("blog", 2)):
                stack.update(name, "--update-order", order, "--env-add", f"VERSION={version}")
                until(lambda name=name: stack.settled(name), 90, f"the {order} update ends", every=0.3)  # type: ignore[misc]
                stack.wait_answers(f"{name}.test", tasks=tasks, version=version)
        stack.wait_drained()
    judged(loads, stack.outcomes(), "both rolling updates of two services")
    [reloads] = [outcome.counters["reloads"] for outcome in stack.outcomes() if outcome.extension == "haproxy"]
    assert reloads == 0
    stack.remove("shop", "blog")


class Changes:
    """Changes of every kind, of the services under load and of others beside them."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._random = random.Random(seed)
        self._version = 1
        self.others: list[str] = []
        """Services beside those under load"""
        self._made = 0
        self.done: list[str] = []

    def one(self) -> None:
        kinds: list[Callable[[], str]] = [
            self._scale, self._hosts, self._policy, self._mistake, self._roll, self._add, self._remove, self._again,
            self._redirect, self._crash,
        ]  # fmt: skip
        self.done.append(self._random.choice(kinds)())

    def _steady(self) -> str:
        """One of those under load that no update is under way of.

        Any change of a service begins its update anew, and Swarm then stops a further task though the first is not
        replaced yet: of two replicas, both. That outage is Swarm's, and no proxy can help it.
        """
        found: list[str] = []

        def some() -> bool:
            found[:] = [name for name in STEADY if self._stack.settled(name)]
            return bool(found)

        until(some, 90, "no update is under way")
        return self._random.choice(found)

    def _scale(self) -> str:
        name, replicas = self._steady(), self._random.randint(2, 4)
        self._stack.scale(name, replicas)
        return f"scale {name} to {replicas}"

    def _hosts(self) -> str:
        name = self._steady()
        hosts = f"{name}.test,{self._random.choice('abc')}.{name}.test"
        self._stack.update(name, "--label-add", f"com.docker.lb.hosts={hosts}")
        return f"label {name} {hosts}"

    def _policy(self) -> str:
        """What nobody under load may notice: its requests are plain, and there are at least two tasks."""
        name = self._steady()
        label, value = self._random.choice(
            [
                ("sticky_session_cookie", "session"), ("sticky_session_cookie", "connect.sid"), ("ip_hash", "true"),
                ("websocket_endpoints", "/ws,/live"), ("max_fails", "3"), ("fail_timeout", "5s"),
            ]
        )  # fmt: skip
        if self._random.random() < 0.3:
            self._stack.update(name, "--label-rm", f"com.docker.lb.{label}")
            return f"unlabel {name} {label}"
        self._stack.update(name, "--label-add", f"com.docker.lb.{label}={value}")
        return f"label {name} {label}={value}"

    def _mistake(self) -> str:
        name = self._steady()
        label, value = self._random.choice(
            [
                ("max_fails", "many"),
                ("redirects", "nonsense"),
                ("websocket_endpoints", "ws"),
                ("hots", "x"),
                ("ip_hash", "?"),
            ]
        )
        self._stack.update(name, "--label-add", f"com.docker.lb.{label}={value}")
        return f"mistake {name} {label}={value}"

    def _redirect(self) -> str:
        self._made += 1
        name = f"moved{self._made}"
        target = f"http://{self._steady()}.test"
        self._stack.service(name, hosts=f"{name}.test", redirects=f"http://{name}.test,{target};")
        self.others.append(name)
        return f"redirect {name} to {target}"

    def _crash(self) -> str:
        """Of a service beside them: a crash takes requests in flight with it."""
        if not self.others:
            return self._add()
        name = self._random.choice(self.others)
        for node in self._stack.swarm.nodes.values():
            for id_ in node.docker("ps", "-q", "-f", f"label=com.docker.swarm.service.name={name}").split()[:1]:
                node.docker("kill", "-s", "KILL", id_, check=False)
                return f"crash {name}"
        return f"crash {name}, which does not run yet"

    def _roll(self) -> str:
        name, order = self._steady(), self._random.choice(["start-first", "stop-first"])
        self._version += 1
        self._stack.update(name, "--update-order", order, "--env-add", f"VERSION={self._version}")
        return f"roll {name} {order}"

    def _add(self) -> str:
        self._made += 1
        name = f"other{self._made}"
        self._stack.service(name, replicas=self._random.randint(1, 2))
        self.others.append(name)
        return f"create {name}"

    def _remove(self) -> str:
        if not self.others:
            return self._add()
        name = self.others.pop(self._random.randrange(len(self.others)))
        self._stack.remove(name)
        return f"remove {name}"

    def _again(self) -> str:
        if not self.others:
            return self._add()
        name = self._random.choice(self.others)
        self._stack.remove(name)
        self._stack.service(name)
        return f"remove and create {name}"


@pytest.mark.parametrize("number", [50, pytest.param(200, marks=pytest.mark.soak)])
def test_mixed_changes(stack: Stack, number: int) -> None:
    """And a websocket on each proxy that was opened before them outlives them all."""
    seed = int(os.environ.get("SWARM_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
    names = (*STEADY, "chat")
    for name in names:
        stack.service(name, replicas=2, websocket_endpoints="/ws" if name == "chat" else "")
    for name in names:
        stack.wait_answers(f"{name}.test", tasks=2)
    changes = Changes(stack, seed)
    pace = random.Random(seed)

    def echoed(word: str) -> None:
        for link in links:
            link.send(word)
            assert link.recv(timeout=5) == word

    with ExitStack() as opened:
        links = [opened.enter_context(proxy.websocket("chat.test", "/ws")) for proxy in stack.proxies]
        loads = opened.enter_context(stack.loads([f"{name}.test" for name in STEADY]))
        for turn in range(number):
            changes.one()
            # Some come together, some apart.
            time.sleep(pace.choice([0.0, 0.2, 1.0]))
            echoed(str(turn))
        until(lambda: all(stack.settled(name) for name in STEADY), 120, "all updates end", every=0.5)
        stack.wait_drained()
        echoed("still here")
    print(f"\nseed {seed}: " + "; ".join(changes.done))
    judged(loads, stack.outcomes(), f"{number} mixed changes, seed {seed}")
    stack.remove(*names, *changes.others)
