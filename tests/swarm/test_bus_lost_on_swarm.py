"""Our images without their bus: what was last good is served, by a proxy that is started then, too."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from support.swarm.commands import until
from support.swarm.images import Images
from support.swarm.proxy import BOTH, Proxy
from support.swarm.stack import Stack, single

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
HOSTS = [f"h{number}.test" for number in range(12)]


@pytest.fixture(scope="module")
def stack(store: Images) -> Iterator[Stack]:
    with single(store, nodes=1, places=BOTH) as running:
        yield running


def served(proxy: Proxy) -> list[str]:
    return [host for host in HOSTS if proxy.ask(host).status == 200]


def stale_but_healthy(stack: Stack, proxy: Proxy) -> bool:
    [(state, says)] = stack.health(proxy.part)
    return state == "healthy" and "stale" in says


def test_a_proxy_that_is_replaced_without_a_bus_serves_all_hosts(stack: Stack) -> None:
    stack.service("many", replicas=2, hosts=",".join(HOSTS))
    stack.wait_answers(HOSTS[0], tasks=2)
    stack.scale("interlock_bus", 0)
    until(lambda: not stack.containers("bus"), 30, "the bus is gone")
    assert [served(proxy) for proxy in stack.proxies] == [HOSTS, HOSTS]
    stack.until_each(lambda proxy: stale_but_healthy(stack, proxy), 30, "it is said that it is stale")
    first = {}
    for proxy in stack.proxies:
        [(node, first[proxy.kind])] = stack.containers(proxy.part)
        node.docker("kill", "-s", "KILL", first[proxy.kind])

    def another(proxy: Proxy) -> bool:
        return any(id_ != first[proxy.kind] for _, id_ in stack.containers(proxy.part))

    stack.until_each(another, 60, "another task")
    stack.until_each(lambda proxy: served(proxy) == HOSTS, 60, "the new one serves all hosts")
    stack.until_each(lambda proxy: stale_but_healthy(stack, proxy), 60, "the new one is healthy, and says that too")
    stack.scale("interlock_bus", 1)
    stack.scale("many", 3)
    stack.wait_answers(HOSTS[-1], tasks=3)
    stack.until_each(lambda proxy: "stale" not in stack.health(proxy.part)[0][1], 30, "fresh again")


MASTERS = {"nginx": "nginx: master", "haproxy": "haproxy -W"}
"""By which the process that its worker has started is known; the oldest is meant."""


@pytest.mark.parametrize("kind", MASTERS)
def test_either_of_worker_and_proxy_may_die_without_the_other(stack: Stack, kind: str) -> None:
    [proxy] = [proxy for proxy in stack.proxies if proxy.kind == kind]
    stack.service("shop", replicas=2)
    stack.wait_answers("shop.test", tasks=2)
    [(node, id_)] = stack.containers(proxy.part)

    def pid_of(words: str) -> str:
        listed = [line.split(maxsplit=1) for line in node.docker("top", id_, "-eo", "pid,args").splitlines()[1:]]
        found = [int(pid) for pid, args in listed if words in args and "runtime.init" not in args]
        return str(min(found, default=""))

    master, worker = pid_of(MASTERS[kind]), pid_of("interlock-extension")
    with stack.loads(["shop.test"]) as loads:
        os.kill(int(worker), signal.SIGKILL)
        until(lambda: pid_of("interlock-extension") not in {"", worker}, 20, "another worker")
        assert pid_of(MASTERS[kind]) == master
        stack.scale("shop", 4)
        stack.wait_answers("shop.test", tasks=4)
    assert {other: load.report().failures for other, load in loads.items()} == dict.fromkeys(loads, ())
    assert pid_of(MASTERS[kind]) == master
    worker = pid_of("interlock-extension")
    os.kill(int(master), signal.SIGKILL)
    until(lambda: pid_of(MASTERS[kind]) not in {"", master}, 20, "another proxy")
    stack.wait_answers("shop.test", tasks=4)
    assert pid_of("interlock-extension") == worker
    assert [container for _, container in stack.containers(proxy.part)] == [id_]
    stack.remove("shop")
    stack.wait_unrouted("shop.test")
