"""A service's labels read at once: defaults, each label's own mistakes, and labels that are not ours."""

from __future__ import annotations

import pytest

from interlock.labels.label import Flaw, parse_bool
from interlock.labels.reading import Reading, read
from interlock.labels.registry import LABELS
from interlock.labels.relevance import is_interlock_service, relevant, service_cluster_of
from interlock.labels.routing import Routing
from interlock.model.problem import Problem

LB = "com.docker.lb."


def reading(**labels: str) -> Reading:
    return read("shop", "s1", {LB + name: value for name, value in labels.items()})


def only_problem(found: Reading) -> Problem:
    (problem,) = found.problems
    assert (problem.service, problem.service_id) == ("shop", "s1")
    assert problem.reason
    assert problem.remedy
    return problem


def test_the_least_that_is_routed() -> None:
    assert reading(hosts="a.com", port="8080") == Reading(routing=Routing(hosts=("a.com",), port=8080))


def test_everything_set() -> None:
    found = reading(
        hosts="a.com,b.com",
        port=" 80 ",
        network="web",
        service_cluster="us-east",
        context_root="/app/",
        context_root_rewrite="TRUE",
        default_backend="true",
        backend_mode="vip",
    )
    assert found.routing == Routing(
        hosts=("a.com", "b.com"),
        port=80,
        network="web",
        service_cluster="us-east",
        context_root="/app",
        rewrite=True,
        default_backend=True,
        backend_mode="vip",
    )
    assert not found.problems


def test_a_default_backend_needs_no_hosts() -> None:
    found = reading(default_backend="True", port="80")
    assert found.routing == Routing(hosts=(), port=80, default_backend=True)
    assert not found.problems


@pytest.mark.parametrize(
    "labels", [{}, {"hosts": ""}, {"hosts": " , "}, {"hosts": "\u00a0,"}, {"default_backend": "false"}]
)
def test_a_service_that_names_no_host(labels: dict[str, str]) -> None:
    found = reading(port="80", **labels)
    assert found.routing is None
    problem = only_problem(found)
    assert problem.key == LB + "hosts"
    assert "default_backend=true" in problem.remedy


def test_only_bad_hosts_are_one_problem_each_and_no_route() -> None:
    found = reading(hosts="a b,c:80", port="80")
    assert found.routing is None
    assert [p.value for p in found.problems] == ["a b", "c:80"]


def test_a_missing_port() -> None:
    found = reading(hosts="a.com")
    assert found.routing is None
    problem = only_problem(found)
    assert (problem.key, problem.value, problem.severity) == (LB + "port", "", "error")
    assert "port that the container listens on" in problem.remedy


@pytest.mark.parametrize("port", ["", "0", "65536", "http", "80/tcp", "8080:80", "-1", "٨٠", "1e3", "9" * 30])
def test_a_bad_port(port: str) -> None:
    found = reading(hosts="a.com", port=port)
    assert found.routing is None
    problem = only_problem(found)
    assert (problem.key, problem.value) == (LB + "port", port)


@pytest.mark.parametrize("port", ["1", "65535", "0080"])
def test_a_good_port(port: str) -> None:
    found = reading(hosts="a.com", port=port)
    assert found.routing is not None
    assert found.routing.port == int(port)


@pytest.mark.parametrize("text", ["1", "yes", "on", "ture"])
def test_a_boolean_that_is_neither_is_false_with_a_warning(text: str) -> None:
    found = reading(hosts="a.com", port="80", default_backend=text)
    assert found.routing is not None
    assert not found.routing.default_backend
    problem = only_problem(found)
    assert (problem.key, problem.value, problem.severity) == (LB + "default_backend", text, "warning")


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
@pytest.mark.parametrize("name", LABELS)
def test_an_empty_value_is_as_if_the_label_were_absent(name: str, blank: str) -> None:
    labels = {LB + "hosts": "a.com", LB + "port": "80", LB + "context_root": "/a", LB + "ip_hash": "true"}
    absent = read("shop", "s1", {key: value for key, value in labels.items() if key != name})
    found = read("shop", "s1", {**labels, name: blank})
    assert found.routing == absent.routing
    assert [(p.code, p.key, p.value) for p in found.problems] == [(p.code, p.key, p.value) for p in absent.problems]


@pytest.mark.parametrize(
    ("name", "nothing", "something"),
    [
        ("ssl_only", "false", "true"),
        ("ssl_passthrough", "False", "TRUE"),
        ("ssl_backend", " false ", "yes"),
        ("ssl_backend_tls_verify", "none", "required"),
        ("ssl_backend_tls_verify", " None", "optional"),
        ("ssl_cert", "", "shop.cert"),
        ("ssl_key", " ", "shop.key"),
    ],
)
def test_a_label_of_later_that_asks_for_nothing_is_not_told(name: str, nothing: str, something: str) -> None:
    assert not reading(hosts="a.com", port="80", **{name: nothing}).problems
    assert "label-later" in {p.code for p in reading(hosts="a.com", port="80", **{name: something}).problems}


@pytest.mark.parametrize("text", ["false", "FALSE", " False "])
def test_a_plain_false_is_no_problem(text: str) -> None:
    assert not reading(hosts="a.com", port="80", default_backend=text).problems


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "/"),
        ("/", "/"),
        ("/app", "/app"),
        (" /app/ ", "/app"),
        ("/a/b.c_d~e-f", "/a/b.c_d~e-f"),
        ("/v1@2", "/v1@2"),
    ],
)
def test_a_context_root(text: str, path: str) -> None:
    found = reading(hosts="a.com", port="80", context_root=text)
    assert found.routing is not None
    assert found.routing.context_root == path


@pytest.mark.parametrize(
    "text",
    [
        "app",
        "./app",
        "/a b",
        "/a\tb",
        "/a\x00b",
        '/a"b',
        "/a'b",
        "/a;b",
        "/a{b",
        "/a}b",
        "/$uri",
        "/a\\b",
        "/a?b",
        "/a#b",
        "/a%20b",
        "/ä",
        "/../etc",
        "/a/..",
        "/./a",
        "//a",
        "/a//",
        "/a,/b",
        "/" + "a" * 600,
    ],
)
def test_a_bad_context_root_routes_nothing(text: str) -> None:
    found = reading(hosts="a.com", port="80", context_root=text)
    assert found.routing is None
    problem = only_problem(found)
    assert problem.key == LB + "context_root"
    assert problem.value == text[:200]


def test_the_longest_context_root() -> None:
    longest = "/" + "a" * 511
    found = reading(hosts="a.com", port="80", context_root=longest)
    assert found.routing is not None
    assert found.routing.context_root == longest
    problem = only_problem(reading(hosts="a.com", port="80", context_root=longest + "a"))
    assert (problem.reason, problem.remedy) == ("has 513 characters", "Write a path of at most 512")


def test_rewriting_without_a_context_root_warns() -> None:
    found = reading(hosts="a.com", port="80", context_root_rewrite="true")
    assert found.routing is not None
    assert not found.routing.rewrite
    assert only_problem(found).severity == "warning"


@pytest.mark.parametrize(("text", "mode"), [("task", "task"), ("default", "task"), ("VIP", "vip"), ("", "task")])
def test_a_backend_mode(text: str, mode: str) -> None:
    found = reading(hosts="a.com", port="80", backend_mode=text)
    assert found.routing is not None
    assert found.routing.backend_mode == mode


def test_a_bad_backend_mode() -> None:
    found = reading(hosts="a.com", port="80", backend_mode="dnsrr")
    assert found.routing is None
    assert only_problem(found).key == LB + "backend_mode"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("host", "hosts"), ("defaul_backend", "default_backend"), ("Hosts", "hosts"), ("ssl_cret", "ssl_cert")],
)
def test_an_unknown_label_names_the_nearest(name: str, meant: str) -> None:
    found = reading(hosts="a.com", port="80", **{name: "x"})
    assert found.routing is not None
    problem = only_problem(found)
    assert (problem.key, problem.value, problem.severity) == (LB + name, "x", "warning")
    assert "not a label" in problem.reason
    assert f"{LB}{meant}?" in problem.remedy


def test_an_unknown_label_that_is_like_none() -> None:
    assert "Did you mean" not in only_problem(reading(hosts="a.com", port="80", zzzzzzzzzzzzzzzzzzzzzz="x")).remedy


@pytest.mark.parametrize("name", ["ssl_cert", "ssl_only", "ssl_backend"])
def test_a_label_that_is_not_built_yet_is_not_called_unknown(name: str) -> None:
    found = reading(hosts="a.com", port="80", **{name: "x"})
    assert found.routing is not None
    problem = only_problem(found)
    assert problem.severity == "warning"
    assert "not supported yet" in problem.reason


def test_values_and_lists_of_mistakes_are_bounded() -> None:
    found = reading(hosts=",".join(f"bad host {n}" + "x" * 300 for n in range(500)), port="80" * 1000)
    assert len(found.problems) == 22
    assert max(len(p.value) for p in found.problems) == 200
    assert max(len(p.reason) + len(p.remedy) for p in found.problems) <= 800
    assert any("480 more" in p.reason for p in found.problems)


def test_each_mistake_is_told_in_full_or_counted() -> None:
    def told(mistakes: int) -> list[Problem]:
        return list(reading(hosts=",".join(f"{n} x" for n in range(mistakes)), port="80").problems)

    assert len(told(20)) == 20
    assert all(problem.value for problem in told(20))
    for more in (1, 5):
        [last] = [problem for problem in told(20 + more) if not problem.value]
        assert (len(told(20 + more)), last.code) == (21, "host-invalid")
        assert last.reason == f"has {more} more mistakes"
        assert last.remedy == "Correct those shown; the next ones follow"


def test_no_text_of_a_problem_is_longer_than_people_read() -> None:
    found = read("s", "1", {LB + "x" * 300: "v" * 300, LB + "hosts": "http://" + "h" * 500, LB + "port": "80"})
    path = reading(hosts="a.com", port="80", context_root="/" + "".join(map(chr, range(0x4E00, 0x4E80))))
    slashes = reading(hosts="a.com", port="80", context_root="//" + "a/" * 240 + "a")
    problems = [*found.problems, *path.problems, *slashes.problems]
    assert max(len(problem.key) for problem in problems) == 200
    assert max(len(problem.value) for problem in problems) == 200
    assert max(len(problem.reason) for problem in problems) == 400
    assert max(len(problem.remedy) for problem in problems) <= 400


def test_a_family_cannot_write_more_than_people_read(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Flaw(code="conflict", value="v" * 999, reason="r" * 999, remedy="w" * 999)
    monkeypatch.setattr("interlock.labels.reading.CHECKS", (lambda *_: [(LB + "hosts", long)],))
    problem = only_problem(reading(hosts="a.com", port="80"))
    assert (problem.value, problem.reason, problem.remedy) == ("v" * 200, "r" * 400, "w" * 400)


def test_a_misspelt_label_is_found_behind_labels_of_others() -> None:
    labels = {"com.docker.stack.namespace": "shop", LB + "hosts": "a.com", LB + "port": "80", LB + "hots": "b.com"}
    assert [problem.key for problem in read("shop", "s1", labels).problems] == [LB + "hots"]


def test_a_flag_that_is_neither_is_false_and_not_missing() -> None:
    assert parse_bool("maybe").value is False


def test_labels_of_others_are_none_of_our_business() -> None:
    assert not read("shop", "s1", {LB + "hosts": "a.com", LB + "port": "1", "traefik.enable": "x"}).problems


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS.keys())
def test_every_label_explains_itself_with_an_example_that_it_takes(label: object) -> None:
    found = label.parse(label.example)  # type: ignore[attr-defined]  # any label
    assert not found.flaws
    assert found.value != label.default  # type: ignore[attr-defined]
    assert label.doc.endswith(".")  # type: ignore[attr-defined]
    assert label.name.startswith(LB)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a,b", "bad name!*", "a/b%2F{x}", "x" * 64, "-x", "é", "a\nb"])
def test_a_service_cluster_that_is_no_name_is_its_owners_problem(name: str) -> None:
    labels = {LB + "hosts": "a.example", LB + "port": "80", LB + "service_cluster": name}
    found = read("shop", "1", labels)
    assert found.routing is None
    [problem] = found.problems
    assert (problem.service, problem.key, problem.severity) == ("shop", LB + "service_cluster", "error")
    assert "us-east" in problem.remedy
    # The proxies of the unnamed cluster tell of it.
    assert service_cluster_of(labels) == ""


def test_what_the_watcher_asks() -> None:
    labels = {LB + "hsots": "a", "com.docker.stack.namespace": "st", "other": "x", LB + "service_cluster": " east "}
    assert is_interlock_service(labels)
    assert not is_interlock_service({"com.docker.lbx": "a", "com.docker.stack.namespace": "st"})
    assert service_cluster_of(labels) == "east"
    assert service_cluster_of({}) == ""
    assert relevant(labels) == {k: v for k, v in labels.items() if k != "other"}
