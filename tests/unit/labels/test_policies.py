"""The labels of how a host is served: each with values that it takes and values that it refuses, and what they mean."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from interlock.labels.reading import Reading, read
from interlock.labels.registry import LABELS
from interlock.labels.routing import Redirect, Routing
from interlock.model.problem import CODES

LB = "com.docker.lb."
OLD_NEW = "http://old.test,http://new.test"


def reading(**labels: str) -> Reading:
    given = {"hosts": "old.test,new.test", "port": "80", **labels}
    return read("shop", "s1", {LB + name: value for name, value in given.items()})


def asked(**labels: str) -> Routing:
    found = reading(**labels)
    assert found.routing is not None
    assert found.problems == ()
    return found.routing


@pytest.mark.parametrize(
    ("text", "redirects"),
    [
        (OLD_NEW, [("old.test", "http://new.test")]),
        (f" {OLD_NEW} ; ", [("old.test", "http://new.test")]),
        (f"{OLD_NEW};http://new.test,https://NEW.test:8443/;", [("new.test", "https://new.test:8443"), ("old.test", "http://new.test")]),
        ("http://old.test/,https://old.test", [("old.test", "https://old.test")]),
        ("HTTP://OLD.test. , http://münchen.example:080", [("old.test", "http://xn--mnchen-3ya.example:80")]),
        (";;", []),
        ("http://old.test,https://new.test:81/app/", [("old.test", "https://new.test:81/app")]),
    ],
)  # fmt: skip
def test_redirects(text: str, redirects: list[tuple[str, str]]) -> None:
    assert asked(redirects=text).redirects == tuple(Redirect(source=s, target=t) for s, t in redirects)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://old.test", "is not a source and a target"),
        ("old.test,http://new.test", "is not a URL"),
        ("http://old.test/path,http://new.test", "redirects a path"),
        ("http://old.test,http://new.test/p?q", "is not a URL"),
        ('http://old.test,http://new.test/p"', "its path has"),
        ("http://old.test,http://new.test/$uri", "its path has"),
        ("http://old.test,ftp://new.test", "is not a URL"),
        ('http://old.test,http://new.test" return 200', "is not a URL"),
        ("http://old.test,http://new.test$request_uri", "its host"),
        ("http://old.test,http://old.test", "to itself"),
        ("https://old.test,http://new.test", "redirects https"),
        ("http://*.test,http://new.test", "wildcard"),
        ("http://old.test,http://new.test:99999", "out of range"),
        (f"{OLD_NEW};http://old.test,http://other.test", "to a second place"),
        ("http://old.test,http://u@new.test", "is not a URL"),
    ],
)
def test_redirects_that_are_none(text: str, why: str) -> None:
    found = reading(redirects=text)
    assert found.routing is not None
    [problem] = found.problems
    assert (problem.code, problem.severity, problem.key) == ("redirect-invalid", "error", LB + "redirects")
    assert why in problem.reason


def test_a_good_redirect_beside_a_bad_one_counts() -> None:
    found = reading(redirects=f"nonsense;{OLD_NEW}")
    assert found.routing is not None
    assert [redirect.source for redirect in found.routing.redirects] == ["old.test"]


def test_a_redirect_of_a_host_that_is_not_the_services() -> None:
    found = reading(redirects="http://other.test,http://new.test")
    [problem] = found.problems
    assert (problem.code, problem.value, problem.severity) == ("redirect-host", "other.test", "warning")
    assert found.routing is not None
    assert found.routing.redirects == ()


LOOPS = [
    ("http://old.test,http://new.test;http://new.test,http://old.test", ["new.test", "old.test"]),
    ("http://old.test,http://new.test:81/x;http://new.test,http://OLD.test", ["new.test", "old.test"]),
    # What only leads into a loop is a redirect like any other: where it ends, a service answers.
    (
        "http://a.test,http://old.test;http://old.test,http://new.test;http://new.test,http://old.test",
        ["new.test", "old.test"],
    ),
    (
        "http://a.test,http://old.test;http://old.test,http://new.test;http://new.test,http://a.test",
        ["a.test", "new.test", "old.test"],
    ),
]


@pytest.mark.parametrize(("text", "left_out"), LOOPS)
def test_redirects_that_lead_back_are_left_out_and_told(text: str, left_out: list[str]) -> None:
    hosts = ("a.test", "new.test", "old.test")
    found = reading(hosts=",".join(hosts), redirects=text)
    assert found.routing is not None
    told = {problem.value.partition(",")[0].removeprefix("http://") for problem in found.problems}
    assert sorted(told) == left_out
    assert {(problem.code, problem.severity) for problem in found.problems} == {("redirect-invalid", "error")}
    asked_for = {host for host in hosts if f"http://{host}," in text.lower()}
    assert {redirect.source for redirect in found.routing.redirects} == asked_for - set(left_out)


def test_a_loop_is_told_with_its_hosts() -> None:
    problems = reading(redirects="http://old.test,http://new.test;http://new.test,http://old.test").problems
    assert [problem.reason for problem in problems] == [
        "is a redirect loop (new.test → old.test → new.test), and so is left out",
        "is a redirect loop (old.test → new.test → old.test), and so is left out",
    ]
    assert {problem.remedy for problem in problems} == {"Remove one of these redirects"}


@pytest.mark.parametrize(
    "text",
    [
        "http://old.test,https://new.test;http://new.test,http://old.test",
        "http://old.test,http://new.test;http://new.test,http://elsewhere.test",
    ],
)
def test_redirects_that_end_somewhere_count(text: str) -> None:
    assert len(asked(redirects=text).redirects) == 2


def test_a_loop_through_a_host_that_is_not_the_services_is_none() -> None:
    found = reading(hosts="old.test", redirects="http://old.test,http://new.test;http://new.test,http://old.test")
    assert [problem.code for problem in found.problems] == ["redirect-host"]
    assert found.routing is not None
    assert [redirect.source for redirect in found.routing.redirects] == ["old.test"]


def test_a_mistake_beside_an_unusable_root_is_told_once() -> None:
    found = reading(context_root="app/", context_root_rewrite="TRUE")
    assert [problem.code for problem in found.problems] == ["path-invalid"]


def test_the_remedy_of_a_url_as_a_host_is_a_host() -> None:
    [problem] = reading(hosts="x.test:80/foo").problems
    assert "'x.test'" in problem.remedy


def test_a_service_that_a_mistake_keeps_from_being_routed_claims_its_hosts() -> None:
    for mistake in ({"port": "http"}, {"context_root": "app"}):
        claimed = reading(**mistake).claimed
        assert claimed
        assert claimed.hosts == ("new.test", "old.test")
        assert claimed.port == (0 if "port" in mistake else 80)
    assert reading(service_cluster="no name").claimed is None
    assert reading().claimed is None


def test_a_name_of_a_label_writes_nothing_on_a_terminal() -> None:
    [problem] = reading(**{"\x1b[31m\nx": "y"}).problems
    assert problem.key == LB + r"\x1b[31m\nx"
    [problem] = reading(**{"größe\\n": "y"}).problems
    assert problem.key == LB + r"größe\n"


@pytest.mark.parametrize("name", ["session", "connect.sid", "my-session", "__Host-x", "a" * 128])
def test_a_sticky_cookie(name: str) -> None:
    assert asked(sticky_session_cookie=f" {name} ").sticky_cookie == name


@pytest.mark.parametrize("name", ["a b", "a=b", "a;b", 'a"b', "é", "a,b", "a\x00", "a\nb", "(a)", "{a}", "a" * 129])
def test_a_cookie_name_that_is_none(name: str) -> None:
    found = reading(sticky_session_cookie=f"x{name}")
    assert found.routing is not None
    assert found.routing.sticky_cookie == ""
    assert [problem.code for problem in found.problems] == ["cookie-invalid"]


def test_ip_hash() -> None:
    assert asked(ip_hash="true").ip_hash
    assert not asked(ip_hash="false").ip_hash


def test_a_cookie_comes_before_ip_hash() -> None:
    found = reading(ip_hash="true", sticky_session_cookie="s")
    assert found.routing is not None
    assert (found.routing.ip_hash, found.routing.sticky_cookie) == (False, "s")
    assert [problem.code for problem in found.problems] == ["ip-hash-with-cookie"]


def test_nobody_chooses_behind_a_virtual_ip() -> None:
    found = reading(ip_hash="true", backend_mode="vip")
    assert found.routing is not None
    assert not found.routing.ip_hash
    assert [problem.code for problem in found.problems] == ["sticky-with-vip"]
    found = reading(sticky_session_cookie="s", backend_mode="vip")
    assert found.routing is not None
    assert not found.routing.sticky_cookie


@pytest.mark.parametrize(
    ("text", "paths"),
    [("/ws", ("/ws",)), (" /ws/ ,/a/b,/ws", ("/a/b", "/ws")), ("/", ("/",)), (",", ())],
)
def test_websocket_endpoints(text: str, paths: tuple[str, ...]) -> None:
    assert asked(websocket_endpoints=text).websockets == paths


@pytest.mark.parametrize("path", ["ws", "/a b", "/a;b", "/a{", "/a$b", "/a//b", "/../a", '/a"', "/a\x00", "/é"])
def test_a_websocket_endpoint_that_is_no_path(path: str) -> None:
    found = reading(websocket_endpoints=f"/ok,{path}")
    assert found.routing is not None
    assert found.routing.websockets == ("/ok",)
    assert [(problem.code, problem.value) for problem in found.problems] == [("websocket-invalid", path.strip())]


def test_websocket_endpoints_beside_a_context_root() -> None:
    found = reading(websocket_endpoints="/ws", context_root="/app")
    assert found.routing is not None
    assert found.routing.websockets == ()
    assert [problem.code for problem in found.problems] == ["websocket-with-root"]


@pytest.mark.parametrize(("text", "count"), [("3", 3), (" 0 ", 0), ("", None), ("999999", 999999)])
def test_max_fails(text: str, count: int | None) -> None:
    assert asked(max_fails=text).max_fails == count


@pytest.mark.parametrize("text", ["-1", "3.0", "three", "1000000", "٣", "3;"])
def test_a_count_that_is_none(text: str) -> None:
    found = reading(max_fails=text)
    assert found.routing is not None
    assert found.routing.max_fails is None
    assert [(problem.code, problem.value) for problem in found.problems] == [("count-invalid", text)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10", 10), ("1m30s", 90), ("1m 30s", 90), ("2h", 7200), ("1d", 86400), ("", None)],
)
def test_fail_timeout(text: str, seconds: int | None) -> None:
    assert asked(fail_timeout=text).fail_timeout == seconds


@pytest.mark.parametrize("text", ["500ms", "0", "0s", "2y", "soon", "-1s", "30s;", "1.5s", "٣s", "30 s"])
def test_a_time_that_is_none(text: str) -> None:
    found = reading(fail_timeout=text)
    assert found.routing is not None
    assert found.routing.fail_timeout is None
    assert [(problem.code, problem.value) for problem in found.problems] == [("time-invalid", text)]


def test_every_problem_has_a_code_that_is_listed() -> None:
    for label in LABELS.values():
        for text in ("", "x", "-", '";', "true", "/", "http://a,b", "9" * 9):
            for problem in read("s", "1", {label.name: text}).problems:
                assert problem.code in CODES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fail_timeout", "1" * 60 + "x"),
        ("fail_timeout", "1" * 100_000),
        ("max_fails", "1" * 100_000),
        ("hosts", "".join(chr(0x4E00 + n) for n in range(20_000))),
        ("redirects", f"http://{'é' * 50_000}.test,http://new.test"),
        ("websocket_endpoints", "/" + "a/" * 50_000),
        ("context_root", "/" + "a" * 100_000),
        ("sticky_session_cookie", "a" * 100_000),
        ("service_cluster", "a" * 100_000),
        ("network", "a" * 100_000),
    ],
)
def test_no_text_takes_long_to_be_read(name: str, text: str) -> None:
    """A planner reads the labels of everyone: a text that took minutes would stop them all."""
    program = (
        "import sys; from interlock.labels.reading import read; "
        "read('s', '1', {'com.docker.lb.port': '80', sys.argv[1]: sys.stdin.read()})"
    )
    words = [sys.executable, "-c", program, LB + name]
    subprocess.run(words, input=text, text=True, timeout=20, check=True)


def test_a_label_is_told_of_a_bounded_number_of_times() -> None:
    pairs = ";".join(f"http://x{n}.test,http://new.test" for n in range(3000))
    assert len(reading(redirects=pairs).problems) == 21
    found = reading(**{f"nothing{n}": "x" for n in range(300)}).problems
    assert len(found) == 21
    assert any("280 more that are not known" in problem.reason for problem in found)
    assert {(problem.code, problem.severity) for problem in found} == {("label-unknown", "warning")}
    # Also where another problem comes before them.
    mixed = reading(ssl_cert="x", **{f"nothing{n}": "x" for n in range(21)}).problems
    assert [problem.code for problem in mixed if "1 more" in problem.reason] == ["label-unknown"]


def test_a_name_that_is_like_none_is_likened_to_none() -> None:
    [problem] = reading(x1="y").problems
    assert "Did you mean" not in problem.remedy


def test_a_long_chain_of_redirects_takes_no_longer_than_its_length() -> None:
    # A walk from every host would take as many steps as the square of it: minutes.
    number = 30_000
    hosts = [f"h{n}.test" for n in range(number)]
    pairs = [f"http://{host},http://{after}" for host, after in itertools.pairwise(hosts)]
    assert len(asked(hosts=",".join(hosts), redirects=";".join(pairs)).redirects) == number - 1
    found = reading(hosts=",".join(hosts), redirects=";".join([*pairs, f"http://{hosts[-1]},http://{hosts[0]}"]))
    assert found.routing is not None
    assert found.routing.redirects == ()
    assert any("(h0.test → h1.test → h2.test → h3.test → … → h0.test)" in p.reason for p in found.problems)
