"""The acceptance cases of the labels by number, on a real Swarm, with both proxies; and churn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from websockets.exceptions import InvalidStatus

from support.swarm.commands import run
from support.swarm.images import Images
from support.swarm.proxy import BOTH, Answer, Proxy
from support.swarm.stack import Stack, single

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
UPSTREAM = "x-upstream-addr"


@pytest.fixture(scope="module")
def stack(store: Images) -> Iterator[Stack]:
    with single(store, nodes=1, places=BOTH) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def services(stack: Stack) -> None:
    """One service for each case, so that Swarm starts them together."""
    stack.service("rooted", context_root="/app")
    stack.service("taken-off", context_root="/app", context_root_rewrite="true")
    stack.service(
        "moved",
        hosts="old.test,older.test,new.test",
        redirects="http://old.test,http://new.test; http://older.test,http://new.test;",
    )
    stack.service("sticky", replicas=5, sticky_session_cookie="session")
    stack.service("hashed", replicas=5, ip_hash="true")
    stack.service("chat", websocket_endpoints="/ws")
    stack.service("careful", replicas=2, max_fails="3", fail_timeout="30s")
    stack.service("wary", replicas=2, max_fails="3", fail_timeout="2s")
    for host, tasks in (("new.test", 1), ("sticky.test", 5), ("chat.test", 1), ("careful.test", 2), ("wary.test", 2)):
        stack.wait_answers(host, tasks=tasks)
    hosts = ("rooted.test", "taken-off.test")
    stack.until_each(lambda proxy: all(proxy.ask(host, "/app/").status == 200 for host in hosts), 30, "both answer")


def test_case_9_a_context_root(stack: Stack) -> None:
    for proxy in stack.proxies:
        assert proxy.ask("rooted.test", "/app/x?y=1").said["path"] == "/app/x?y=1"
        assert proxy.ask("rooted.test", "/app").said["path"] == "/app"
        for path in ("/other", "/", "/apple"):
            answer = proxy.ask("rooted.test", path)
            assert (answer.status, answer.said) == (404, {}), (proxy, path)


def test_case_10_a_context_root_is_taken_off(stack: Stack) -> None:
    for proxy in stack.proxies:
        assert proxy.ask("taken-off.test", "/app/").said["path"] == "/"
        assert proxy.ask("taken-off.test", "/app/a/b?c=d").said["path"] == "/a/b?c=d"
        bare = proxy.ask("taken-off.test", "/app")
        assert (bare.status, bare.headers["location"]) == (301, "/app/"), proxy
        assert '"path": "/a/b"' in proxy.curl("taken-off.test", "/app/a/b", "-X", "POST", "-d", "x")


def test_case_11_redirects(stack: Stack) -> None:
    for proxy in stack.proxies:
        for host in ("old.test", "older.test"):
            answer = proxy.ask(host, "/x?y=z")
            assert (answer.status, answer.headers["location"]) == (302, "http://new.test/x?y=z"), proxy
            assert {"x-request-id", "x-proxy-id", "x-server-info"} <= answer.headers.keys(), proxy
        assert proxy.ask("new.test").status == 200


def _with_cookie(proxy: Proxy, value: str) -> str:
    head = proxy.curl("sticky.test", "/", "-o", "/dev/null", "-D", "-", "-b", f"session={value}").lower()
    assert "set-cookie" not in head
    return next(line.split()[1] for line in head.splitlines() if line.startswith(UPSTREAM))


def test_case_13_a_sticky_cookie(stack: Stack) -> None:
    for proxy in stack.proxies:
        assert len({_with_cookie(proxy, "abc") for _ in range(20)}) == 1, proxy
        assert len({_with_cookie(proxy, f"user-{n}") for n in range(20)}) > 1, proxy


def test_case_14_ip_hash(stack: Stack) -> None:
    """The ports of the proxies are published in host mode: they see their clients' addresses."""
    for proxy in stack.proxies:
        assert len({proxy.ask("hashed.test").headers[UPSTREAM] for _ in range(20)}) == 1, proxy
        seen = dict(_headers(proxy.ask("hashed.test")))
        assert seen["x-forwarded-for"] not in {"", "127.0.0.1"}, proxy
        assert seen["x-forwarded-for"] == seen["x-real-ip"], proxy


def _headers(answer: Answer) -> list[tuple[str, str]]:
    found = answer.said["headers"]
    assert isinstance(found, list)
    return [(name, value) for name, value in found]


def test_case_19_websockets(stack: Stack) -> None:
    """It survives deployments that are none of its business."""
    with ExitStack() as opened:
        links = []
        for proxy in stack.proxies:
            with pytest.raises(InvalidStatus):
                proxy.websocket("chat.test", "/other")
            links.append(opened.enter_context(proxy.websocket("chat.test", "/ws")))
        for number in range(3):
            stack.service(f"unrelated-{number}")
            stack.wait_answers(f"unrelated-{number}.test", tasks=1)
            for link in links:
                link.send(str(number))
                assert link.recv(timeout=5) == str(number)


def test_case_38_passive_health_as_nginx_writes_it(stack: Stack) -> None:
    [(node, proxy)] = stack.containers("proxy")
    show = ("sh", "-c", "cat $(find / -path '*nginx/hosts/careful.test.conf' 2>/dev/null | head -1)")
    written = node.docker("exec", proxy, *show)
    lines = [line.strip() for line in written.splitlines() if ":8080" in line]
    assert len(lines) == 2
    assert all(line.endswith(":8080 max_fails=3 fail_timeout=30s;") for line in lines)


@contextmanager
def refusing(stack: Stack, service: str) -> Iterator[Callable[[], int]]:
    """Within it a task refuses every connection. Tells how many were tried since it was asked last."""
    node = stack.swarm.nodes[1]
    inside = node.enter(node.docker("ps", "-q", "-f", f"name={service}").split()[0])
    rule = ("INPUT", "-p", "tcp", "--dport", "8080", "--syn", "-j", "REJECT", "--reject-with", "tcp-reset")

    def tried() -> int:
        said = run(*inside, "iptables", "-L", "INPUT", "-vnxZ")
        return int(next(line.split()[0] for line in said.splitlines() if "reject-with tcp-reset" in line))

    run(*inside, "iptables", "-I", *rule)
    try:
        yield tried
    finally:
        run(*inside, "iptables", "-D", *rule)


def test_case_38_passive_health_as_it_is_meant(stack: Stack) -> None:
    """A task that fails three times gets nothing for a while, then again; and no request fails."""

    def asked(proxy: Proxy, host: str, times: int = 12) -> int:
        """How many tasks answer so many requests."""
        # With an end of the connection, so that each request makes one.
        answers = [proxy.ask(host, "/?close=1") for _ in range(times)]
        assert {answer.status for answer in answers} == {200}, proxy
        return len({answer.task for answer in answers})

    tried = {}
    with refusing(stack, "careful") as connections:
        for proxy in stack.proxies:
            tried[proxy.kind] = [connections(), asked(proxy, "careful.test"), connections()]
            tried[proxy.kind] += [asked(proxy, "careful.test"), connections()]
    print(f"\nanswering tasks and tried connections: {tried}")
    for kind, (_, answering, first, still_answering, later) in tried.items():
        assert answering == still_answering == 1, kind
        assert 3 <= first <= 4, kind
        assert later <= 1, kind
    with refusing(stack, "wary"):
        for proxy in stack.proxies:
            assert asked(proxy, "wary.test") == 1, proxy
    stack.until_each(lambda proxy: asked(proxy, "wary.test", 6) == 2, 10, "it is asked again")


def _reloads(stack: Stack) -> float:
    return sum(outcome.counters.get("reloads", 0) for outcome in stack.outcomes())


def test_case_41_churn(stack: Stack) -> None:
    """Case 41: 50 updates in 10 s, folded, and the last one counts."""
    names = [f"churn-{n}" for n in range(5)]
    for name in names:
        stack.service(name)
    for name in names:
        stack.wait_answers(f"{name}.test", tasks=1)
    before, began = _reloads(stack), time.monotonic()

    def ten(name: str) -> None:
        for number in range(10):
            stack.update(name, "--label-add", f"com.docker.lb.hosts={name}.test,{name}-{number}.test")

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(ten, names))
    took = time.monotonic() - began
    for name in names:
        stack.wait_answers(f"{name}-9.test", tasks=1)
        stack.wait_unrouted(f"{name}-8.test")
    reloads = _reloads(stack) - before
    print(f"\n50 updates in {took:.1f} s: {reloads:.0f} reloads")
    assert reloads <= 50
