"""Our images without their bus: what was last good is served, by a proxy that is started then, too."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from support.swarm.commands import until
from support.swarm.images import Images
from support.swarm.stack import Stack, single

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
HOSTS = [f"h{number}.test" for number in range(12)]


@pytest.fixture(scope="module")
def stack(store: Images) -> Iterator[Stack]:
    with single(store, nodes=1) as running:
        yield running


def served(stack: Stack) -> list[str]:
    return [host for host in HOSTS if stack.ask(host).status == 200]


def test_a_proxy_that_is_replaced_without_a_bus_serves_all_hosts(stack: Stack) -> None:
    stack.service("many", replicas=2, hosts=",".join(HOSTS))
    stack.wait_answers(HOSTS[0], tasks=2)
    stack.scale("interlock_bus", 0)
    until(lambda: not stack.containers("bus"), 30, "the bus is gone")
    assert served(stack) == HOSTS
    until(lambda: "stale" in stack.health("proxy")[0][1], 30, "the proxy says that it is stale")
    assert stack.health("proxy")[0][0] == "healthy"
    [(node, first)] = stack.containers("proxy")
    node.docker("kill", "-s", "KILL", first)
    until(lambda: [id_ for _, id_ in stack.containers("proxy") if id_ != first], 60, "another task of the proxy")
    until(lambda: served(stack) == HOSTS, 60, "the new proxy serves all hosts")
    stack.wait_healthy("proxy")
    assert "stale" in stack.health("proxy")[0][1]
    assert stack.health("proxy")[0][0] == "healthy"
    stack.scale("interlock_bus", 1)
    stack.scale("many", 3)
    stack.wait_answers(HOSTS[-1], tasks=3)
    until(lambda: "stale" not in stack.health("proxy")[0][1], 30, "fresh again")


def test_either_of_worker_and_nginx_may_die_without_the_other(stack: Stack) -> None:
    stack.service("shop", replicas=2)
    stack.wait_answers("shop.test", tasks=2)
    [(node, id_)] = stack.containers("proxy")

    def pid_of(words: str) -> str:
        listed = node.docker("top", id_, "-eo", "pid,args").splitlines()
        return next((line.split()[0] for line in listed if words in line and "runtime.init" not in line), "")

    nginx, worker = pid_of("nginx: master"), pid_of("interlock-extension")
    with stack.load(["shop.test"]) as load:
        os.kill(int(worker), signal.SIGKILL)
        until(lambda: pid_of("interlock-extension") not in {"", worker}, 20, "another worker")
        assert pid_of("nginx: master") == nginx
        stack.scale("shop", 4)
        stack.wait_answers("shop.test", tasks=4)
    assert load.report().failures == ()
    assert pid_of("nginx: master") == nginx
    worker = pid_of("interlock-extension")
    os.kill(int(nginx), signal.SIGKILL)
    until(lambda: pid_of("nginx: master") not in {"", nginx}, 20, "another nginx")
    stack.wait_answers("shop.test", tasks=4)
    assert pid_of("interlock-extension") == worker
    assert [node_id for _, node_id in stack.containers("proxy")] == [id_]
