"""Where nginx and HAProxy differ, as `docs/haproxy.md` says. A difference that is gone should leave the page."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from support.pipeline import KINDS, Pipeline
from support.raw_questions import Question, ask
from support.steps import settled

LONE, PAIR, STICKY, ELSE = "lone.example.org", "pair.example.org", "sticky.example.org", "else.example.org"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@pytest.fixture(scope="module")
def both(installation: Pipeline) -> Iterator[Pipeline]:
    # Else nginx asks nobody for a while, once everybody has failed.
    unchecked = {"max_fails": "0"}
    installation.service("lone", labels={"hosts": LONE, **unchecked})
    installation.service("pair", labels={"hosts": PAIR, **unchecked}, replicas=2)
    installation.service("sticky", labels={"hosts": STICKY, "sticky_session_cookie": "session"}, replicas=4)
    installation.service("else", labels={"hosts": ELSE, "context_root": "/app", "context_root_rewrite": "true"})
    installation.service("wild", labels={"hosts": "*.wild.example.org"})
    installation.wait_effective("lone", "pair", "sticky", "else", "wild", timeout=60)
    yield installation
    installation.sim.reset()
    installation.wait(lambda: settled(installation) and not installation.routes(), "nothing is served any more")


def answers(pipeline: Pipeline, question: Question) -> list[int]:
    """nginx's status, then HAProxy's."""
    return [ask(port, question).status for port in _ports(pipeline)]


def first_bytes(pipeline: Pipeline, request: bytes) -> list[bytes]:
    """The beginning of what nginx answers to these bytes, then of what HAProxy does."""
    found = []
    for port in _ports(pipeline):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.sendall(request)
            found.append(link.recv(12))
    return found


def asked(pipeline: Pipeline, service: str, question: Question, proxy: str) -> list[int]:
    """How often each task of the service is asked for one request."""
    before = [task["requests"] for task in pipeline.sim.tasks(service)]
    ask(pipeline.ports[KINDS.index(proxy)], question)
    return sorted(task["requests"] - old for task, old in zip(pipeline.sim.tasks(service), before, strict=True))


def _ports(pipeline: Pipeline) -> list[int]:
    return [pipeline.ports[KINDS.index(kind)] for kind in ("nginx", "haproxy")]


@pytest.mark.parametrize("what", ["status=500", "status=502", "status=503", "status=504"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_haproxy_asks_again_where_nginx_asks_each_task_once(both: Pipeline, method: str, what: str) -> None:
    for service, nginx, haproxy in (("lone", [1], [4]), ("pair", [1, 1], [2, 2])):
        question = Question(host=f"{service}.example.org", target=f"/?{what}", method=method)
        assert asked(both, service, question, "nginx") == nginx
        assert asked(both, service, question, "haproxy") == haproxy


def test_so_it_does_where_a_connection_breaks(both: Pipeline) -> None:
    question = Question(host=LONE, target="/?abort=1")
    # nginx asks once more where the connection was one that it had kept.
    asked(both, "lone", question, "nginx")
    assert asked(both, "lone", question, "nginx") == [1]
    assert asked(both, "lone", question, "haproxy") == [4]


def test_other_requests_and_answers_are_asked_once_by_both(both: Pipeline) -> None:
    for kind in ("nginx", "haproxy"):
        for method, what in (
            ("POST", "status=500"),
            ("PATCH", "status=503"),
            ("POST", "abort=1"),
            ("GET", "status=501"),
        ):
            question = Question(host=PAIR, target=f"/?{what}", method=method)
            assert asked(both, "pair", question, kind) == [0, 1], (kind, method, what)


def test_what_is_answered_by_one_of_them_only(both: Pipeline) -> None:
    for target, nginx, haproxy in (
        ("/\u00fc", 200, 400),
        ("/x#y", 200, 400),
        (f"http://{ELSE}/app/", 200, 400),
        ("/" + "a" * 9_000, 414, 200),
        ("/nginx_status", 501, 200),
    ):
        said = answers(both, Question(host=LONE, target=target))
        # 200 where this nginx has its status page.
        assert said == [nginx, haproxy] or (target == "/nginx_status" and said == [200, 200]), target
    assert answers(both, Question(host=LONE, method="get")) == [400, 200]
    deep = "x." * 32 + "wild.example.org"
    assert [answers(both, Question(host=host)) for host in (deep, f"x.{deep}")] == [[200, 200], [200, 503]]
    large = tuple(f"X-{n}: {'a' * 7_800}" for n in range(3))
    assert answers(both, Question(host=LONE, headers=large)) == [200, 400]
    assert answers(both, Question(host=LONE, headers=(f"X-Large: {'a' * 9_000}",))) == [400, 200]


def test_nginx_status_is_a_page_of_nginx_alone(both: Pipeline) -> None:
    nginx, haproxy = (ask(port, Question(host=LONE, target="/nginx_status")) for port in _ports(both))
    assert (nginx.service, haproxy.service, haproxy.target) == ("", "lone", "/nginx_status")


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 4", b"Transfer-Encoding: chunked", b"", b"0", b"", b""),
        (b"Content-Length: 4", b"Content-Length: 4", b"", b"abcd"),
        (b"Content-Length: 0", b"X-A: 1", b" folded", b"", b""),
        (b"Content-Length: 0", f"Host: {LONE}".encode(), b"", b""),
    ],
)
def test_messages_that_nginx_refuses_are_put_right_by_haproxy(both: Pipeline, lines: tuple[bytes, ...]) -> None:
    request = b"\r\n".join((b"POST / HTTP/1.1", f"Host: {LONE}".encode(), *lines))
    assert first_bytes(both, request) == [b"HTTP/1.1 400", b"HTTP/1.1 200"]


def test_a_body_without_a_length_may_be_of_any_size_with_haproxy(both: Pipeline) -> None:
    piece = b"x" * 2**20
    chunked = b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")) * 33 + b"0\r\n\r\n"
    said = []
    for port in _ports(both):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
            link.sendall(f"POST / HTTP/1.1\r\nHost: {LONE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            with suppress(OSError):
                # nginx closes the connection.
                link.sendall(chunked)
            said.append(link.recv(12))
    assert said == [b"HTTP/1.1 413", b"HTTP/1.1 200"]


def test_http_2_without_tls_and_http_0_9(both: Pipeline) -> None:
    nginx, haproxy = first_bytes(both, PREFACE)
    assert nginx == b"HTTP/1.1 400"
    assert haproxy[3:4] == b"\x04", "a frame SETTINGS"
    assert first_bytes(both, b"GET /\r\n")[1] == b"HTTP/1.1 400"
    assert not first_bytes(both, b"GET /\r\n")[0].startswith(b"HTTP/")


def test_a_sticky_cookies_name_is_compared_exactly_by_haproxy(both: Pipeline) -> None:
    def tasks(cookie: str, kind: str) -> int:
        worker = KINDS.index(kind)
        return len({both.get(STICKY, worker=worker, headers={"Cookie": cookie}).task for _ in range(12)})

    assert [tasks("session=abc", kind) for kind in ("nginx", "haproxy")] == [1, 1]
    assert tasks("SESSION=abc", "nginx") == 1
    assert tasks("SESSION=abc", "haproxy") > 1


def test_headers_with_a_dot_in_their_name_pass_haproxy_alone(both: Pipeline) -> None:
    question = Question(host=LONE, headers=("a.b: 1",))
    assert [ask(port, question).seen.get("a.b") for port in _ports(both)] == [None, ("1",)]
