"""The acceptance cases of the labels by number, on a real Swarm, with deploy/single.yml; and churn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import InvalidStatus

from support.swarm.commands import run, until
from support.swarm.images import Images
from support.swarm.stack import PORT, Answer, Stack, single

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
UPSTREAM = "x-upstream-addr"


@pytest.fixture(scope="module")
def stack(store: Images) -> Iterator[Stack]:
    with single(store, nodes=1) as running:
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
    for host, tasks in (("new.test", 1), ("sticky.test", 5), ("chat.test", 1), ("careful.test", 2)):
        stack.wait_answers(host, tasks=tasks)
    until(lambda: all(stack.ask(f"{name}.test", "/app/").status == 200 for name in ("rooted", "taken-off")), 30, "both")


def _post(stack: Stack, host: str, path: str) -> str:
    url = f"http://{stack.swarm.nodes[1].address}:{PORT}{path}"
    return run(*stack.swarm.client, "curl", "-s", "-m", "5", "-X", "POST", "-d", "x", "-H", f"Host: {host}", url)


def test_case_9_a_context_root(stack: Stack) -> None:
    assert stack.ask("rooted.test", "/app/x?y=1").said["path"] == "/app/x?y=1"
    assert stack.ask("rooted.test", "/app").said["path"] == "/app"
    for path in ("/other", "/", "/apple"):
        answer = stack.ask("rooted.test", path)
        assert (answer.status, answer.said) == (404, {}), path


def test_case_10_a_context_root_is_taken_off(stack: Stack) -> None:
    assert stack.ask("taken-off.test", "/app/").said["path"] == "/"
    assert stack.ask("taken-off.test", "/app/a/b?c=d").said["path"] == "/a/b?c=d"
    bare = stack.ask("taken-off.test", "/app")
    assert (bare.status, bare.headers["location"]) == (301, "/app/")
    assert '"path": "/a/b"' in _post(stack, "taken-off.test", "/app/a/b")


def test_case_11_redirects(stack: Stack) -> None:
    for host in ("old.test", "older.test"):
        answer = stack.ask(host, "/x?y=z")
        assert (answer.status, answer.headers["location"]) == (302, "http://new.test/x?y=z")
        assert {"x-request-id", "x-proxy-id", "x-server-info"} <= answer.headers.keys()
    assert stack.ask("new.test").status == 200


def _with_cookie(stack: Stack, value: str) -> str:
    url = f"http://{stack.swarm.nodes[1].address}:{PORT}/"
    words = ("curl", "-s", "-m", "5", "-o", "/dev/null", "-D", "-", "-H", "Host: sticky.test", "-b", f"session={value}")
    head = run(*stack.swarm.client, *words, url).lower()
    assert "set-cookie" not in head
    return next(line.split()[1] for line in head.splitlines() if line.startswith(UPSTREAM))


def test_case_13_a_sticky_cookie(stack: Stack) -> None:
    assert len({_with_cookie(stack, "abc") for _ in range(20)}) == 1
    assert len({_with_cookie(stack, f"user-{n}") for n in range(20)}) > 1


def test_case_14_ip_hash(stack: Stack) -> None:
    """The port of deploy/single.yml's proxy is published in host mode: it sees its clients' addresses."""
    assert len({stack.ask("hashed.test").headers[UPSTREAM] for _ in range(20)}) == 1
    seen = dict(_headers(stack.ask("hashed.test")))
    assert seen["x-forwarded-for"] not in {"", "127.0.0.1"}
    assert seen["x-forwarded-for"] == seen["x-real-ip"]


def _headers(answer: Answer) -> list[tuple[str, str]]:
    found = answer.said["headers"]
    assert isinstance(found, list)
    return [(name, value) for name, value in found]


def test_case_19_websockets(stack: Stack) -> None:
    """It survives deployments that are none of its business."""
    with pytest.raises(InvalidStatus):
        stack.websocket("chat.test", "/other")
    with stack.websocket("chat.test", "/ws") as link:
        for number in range(3):
            stack.service(f"unrelated-{number}")
            stack.wait_answers(f"unrelated-{number}.test", tasks=1)
            link.send(str(number))
            assert link.recv(timeout=5) == str(number)


def test_case_38_passive_health(stack: Stack) -> None:
    [(node, proxy)] = stack.containers("proxy")
    show = ("sh", "-c", "cat $(find / -path '*nginx/hosts/careful.test.conf' 2>/dev/null | head -1)")
    written = node.docker("exec", proxy, *show)
    lines = [line.strip() for line in written.splitlines() if ":8080" in line]
    assert len(lines) == 2
    assert all(line.endswith(":8080 max_fails=3 fail_timeout=30s;") for line in lines)


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
