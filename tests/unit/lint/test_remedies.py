"""Every code that a stack file can provoke, and its remedy: doing what that says, to the letter, makes it go.

A case names the labels that change (None: taken away). The remedy must name each of these labels, or its new value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from interlock.model.problem import CODES
from interlock_lint.finding import OF_FILES
from support.stacks import GOOD, LB, dumped, findings, stack_text

NOT_FROM_A_FILE = {
    "unreadable": "of frames on the bus",
    "refused": "of nginx",
    "network-unreachable": "of proxies; tests/unit/lint/test_dry_run.py",
}

OTHER = {"networks": ["web"], "deploy": {"labels": {LB + k: v for k, v in {**GOOD, "ip_hash": "true"}.items()}}}
BACK_LABELS = {"hosts": "b.example", "port": "80", "redirects": "http://b.example,http://a.example"}
BACK = {"networks": ["web"], "deploy": {"labels": {LB + k: v for k, v in BACK_LABELS.items()}}}
DEFAULT_LABELS = {"hosts": "b.example", "port": "80", "default_backend": "true"}
DEFAULT = {"networks": ["web"], "deploy": {"labels": {LB + k: v for k, v in DEFAULT_LABELS.items()}}}
ON_BOTH = {"on": ["web", "back"]}
BOTH = {"web": {}, "back": {}}
HOST_ONLY = {"web": {"external": True, "name": "host"}}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """`also` and `then`: further parts of the stack, before and after; `said`: what the remedy must say of them."""

    code: str
    labels: dict[str, Any]
    change: dict[str, Any] = {}
    also: dict[str, Any] = {}
    then: dict[str, Any] | None = None
    said: str = ""
    environment: dict[str, str] = {}


def case(code: str, *, change: Mapping[str, Any] | None = None, said: str = "", **labels: Any) -> Case:
    """A case in which only labels change, on top of `GOOD`; a blank label is left out."""
    written = {key: value for key, value in {**GOOD, **labels}.items() if value != ""}
    return Case(code=code, labels=written, change=dict(change or {}), said=said)


CASES = [
    case("hosts-missing", hosts="", change={"hosts": "shop.example.com,www.example.com"}),
    case("hosts-missing", hosts="", change={"default_backend": "true"}),
    case("host-invalid", hosts="https://shop.example.com/x", change={"hosts": "shop.example.com"}),
    case(
        "host-invalid",
        hosts="shop.example.com/app",
        change={"hosts": "shop.example.com", "context_root": "/app"},
    ),
    case("host-invalid", hosts="shop.example.com:80", change={"hosts": "shop.example.com"}),
    case("host-invalid", hosts="a.example b.example", change={"hosts": "a.example,b.example"}, said="with commas"),
    case("host-invalid", hosts="*", change={"hosts": None, "default_backend": "true"}, said="default_backend=true"),
    case("host-invalid", hosts="shop!", change={"hosts": "shop.example.com"}),
    case("host-invalid", hosts="d.t/x?y=1", change={"hosts": "d.t", "context_root": "/x"}),
    case("host-invalid", hosts="e.t//x", change={"hosts": "e.t", "context_root": "/x"}),
    case("host-invalid", hosts="i.t/a b", change={"hosts": "i.t"}),
    case("host-invalid", hosts="a.t;http://i2.t", change={"hosts": "a.t,i2.t"}),
    case("host-invalid", hosts="///", change={"hosts": "shop.example.com"}),
    case("host-invalid", hosts="straße.t", change={"hosts": "xn--strae-oqa.t"}),
    case("host-invalid", hosts="straße.t", change={"hosts": "strasse.t"}),
    case("port-missing", port="", change={"port": "8080"}),
    case("port-invalid", port="http", change={"port": "8080"}),
    case("port-invalid", port="70000", change={"port": "65535"}),
    case("cluster-invalid", service_cluster="us east", change={"service_cluster": "us-east"}),
    case("mode-invalid", backend_mode="dnsrr", change={"backend_mode": "vip"}),
    case("mode-invalid", backend_mode="dnsrr", change={"backend_mode": "task"}),
    case("path-invalid", context_root="app", change={"context_root": "/app"}),
    case("path-invalid", context_root="/a//b", change={"context_root": "/a/b"}),
    case("path-invalid", context_root="/a//b/../c", change={"context_root": "/a/c"}),
    case("rewrite-without-root", context_root_rewrite="true", change={"context_root": "/app"}),
    case("rewrite-without-root", context_root_rewrite="true", change={"context_root_rewrite": None}, said="remove it"),
    case("flag-invalid", ip_hash="yes", change={"ip_hash": "true"}),
    case("flag-invalid", ip_hash=1, change={"ip_hash": "true"}, said='Write "true" or "false", in quotes'),
    case("cookie-invalid", sticky_session_cookie="a=b", change={"sticky_session_cookie": "session"}),
    case(
        "sticky-with-vip",
        backend_mode="vip",
        sticky_session_cookie="session",
        change={"sticky_session_cookie": None},
        said="Remove it",
    ),
    case("sticky-with-vip", backend_mode="vip", ip_hash="true", change={"backend_mode": None}, said="remove"),
    case(
        "ip-hash-with-cookie",
        sticky_session_cookie="s",
        ip_hash="true",
        change={"ip_hash": None},
        said="Remove one of them",
    ),
    case("websocket-invalid", websocket_endpoints="app", change={"websocket_endpoints": "/app"}),
    case(
        "websocket-with-root",
        websocket_endpoints="/ws",
        context_root="/app",
        change={"context_root": None},
        said="without a context root",
    ),
    case(
        "redirect-invalid",
        hosts="old.example.com",
        redirects="old.example.com",
        change={"redirects": "http://old.example.com,https://new.example.com"},
    ),
    case(
        "redirect-invalid",
        hosts="old.example.com",
        redirects="http://old.example.com,http://new.example.com/a//b",
        change={"redirects": "http://old.example.com,http://new.example.com/a/b"},
        said="Write http://new.example.com/a/b",
    ),
    case(
        "redirect-invalid",
        hosts="old.example.com",
        redirects="https://old.example.com,http://new.example.com",
        change={"redirects": "http://old.example.com,http://new.example.com"},
        said="Write the source with http:// in the place of https://",
    ),
    case(
        "redirect-invalid",
        hosts="a.example,b.example",
        redirects="http://a.example,http://b.example;http://b.example,http://a.example",
        change={"redirects": "http://a.example,http://b.example"},
        said="Remove one of these redirects",
    ),
    case(
        "redirect-host",
        redirects="http://old.example.com,http://shop.example.com",
        change={"hosts": "shop.example.com,old.example.com"},
        said="Add old.example.com",
    ),
    case("count-invalid", max_fails="many", change={"max_fails": "3"}),
    case("time-invalid", fail_timeout="soon", change={"fail_timeout": "30s"}),
    case(
        "label-unknown", contxt_root="/app", change={"contxt_root": None, "context_root": "/app"}, said="context_root?"
    ),
    case("label-unknown", zzzzzzzzzzzzzzzzzz="x", change={"zzzzzzzzzzzzzzzzzz": None}, said="Remove the label"),
    case("label-later", ssl_cert="shop.cert", change={"ssl_cert": None}, said="Remove the label"),
    Case(
        code="vip-missing",
        labels={**GOOD, "backend_mode": "vip"},
        also={"deploy": {"endpoint_mode": "dnsrr"}},
        then={"deploy": {"endpoint_mode": "vip"}},
        said="--endpoint-mode vip",
    ),
    Case(
        code="vip-missing",
        labels={**GOOD, "backend_mode": "vip"},
        change={"backend_mode": None},
        also={"deploy": {"endpoint_mode": "dnsrr"}},
        said="or remove com.docker.lb.backend_mode",
    ),
    Case(
        code="network-none",
        labels=GOOD,
        also={"networks": HOST_ONLY},
        then={"networks": {"web": {"driver": "overlay"}}},
        said="overlay network",
    ),
    Case(
        code="port-unpublished",
        labels=GOOD,
        also={"networks": HOST_ONLY, "service": {"ports": ["9000:9000"]}},
        then={
            "networks": HOST_ONLY,
            "service": {"ports": [{"target": 8080, "published": 8080, "mode": "host"}]},
        },
        said="--publish-add mode=host,target=8080",
    ),
    Case(code="network-unknown", labels={**GOOD, "network": "front"}, change={"network": "web"}),
    Case(
        code="network-ambiguous",
        labels=GOOD,
        change={"network": "back"},
        also={"networks": BOTH, "service": ON_BOTH},
    ),
    Case(code="conflict", labels=GOOD, change={"ip_hash": "true"}, also={"others": {"blog": OTHER}}),
    Case(
        code="conflict",
        labels={**GOOD, "default_backend": "true"},
        change={"default_backend": None},
        also={"others": {"blog": DEFAULT}},
        said="Remove com.docker.lb.default_backend from one of them",
    ),
    Case(
        code="redirect-invalid",
        labels={"hosts": "a.example", "port": "80", "redirects": "http://a.example,http://b.example"},
        change={"redirects": None},
        also={"others": {"blog": BACK}},
        said="Remove one of these redirects",
    ),
    # --- mistakes that only a file can have ---
    Case(
        code="label-misplaced",
        labels={},
        change=GOOD,
        also={"service": {"labels": {LB + k: v for k, v in GOOD.items()}}},
        then={},
        said="Move it from `labels` to `deploy.labels`",
    ),
    Case(
        code="label-misplaced",
        labels={},
        change=GOOD,
        also={"networks": {"web": {"labels": {LB + k: v for k, v in GOOD.items()}}}},
        then={},
        said="Move it to `deploy.labels` of the service",
    ),
    Case(
        code="stack-invalid",
        labels={},
        change=GOOD,
        also={"deploy": {"label": {LB + k: v for k, v in GOOD.items()}}},
        then={},
        said="Did you mean labels?",
    ),
    Case(code="label-type", labels={**GOOD, "port": True}, change={"port": "8080"}),
    Case(
        code="label-type", labels={**GOOD, "ip_hash": True}, change={"ip_hash": "true"}, said='Write "true", in quotes'
    ),
    Case(
        code="stack-invalid",
        labels=GOOD,
        also={"networks": {"back": {}}},
        then={"networks": {"web": {"external": True}}},
        said="web: {external: true}",
    ),
    Case(
        code="variable-unset",
        labels={**GOOD, "hosts": "a.example,$HOST"},
        said="Set HOST",
        environment={"HOST": "b.example"},
    ),
    Case(
        code="variable-unset",
        labels={**GOOD, "hosts": "a.example,$HOST"},
        change={"hosts": "a.example,${HOST:-b.example}"},
        said="${HOST:-",
    ),
    Case(
        code="variable-required",
        labels={**GOOD, "hosts": "${HOST:?}"},
        said="Set HOST",
        environment={"HOST": "b.example"},
    ),
    Case(
        code="variable-invalid",
        labels={**GOOD, "sticky_session_cookie": "cost$"},
        change={"sticky_session_cookie": "cost$$"},
        said="Write $$",
    ),
]


def _text(labels: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    more = {key: parts[key] for key in ("networks", "others", "deploy") if key in parts}
    # What is written first is the older one.
    return stack_text(labels, **more, **parts.get("service", {}))


def _named(remedy: str, key: str, value: Any) -> bool:
    words = [LB + key, f"'{value}'", f"={value}"] + ([str(value)] if value else [])
    return any(word in remedy for word in words) or str(value).replace(",", "") in remedy


@pytest.mark.parametrize("one", CASES, ids=lambda one: f"{one.code}-{'-'.join(one.change)}")
def test_following_the_remedy_makes_the_problem_go(one: Case) -> None:
    found = [f for f in findings(_text(one.labels, one.also)) if f.code == one.code]
    assert found, "the stack does not provoke it"
    remedies = " ".join(f.remedy for f in found)
    assert one.said in remedies
    unsaid = [] if one.said else [key for key, value in one.change.items() if not _named(remedies, key, value)]
    assert unsaid == [], remedies
    corrected = {key: value for key, value in {**one.labels, **one.change}.items() if value is not None}
    after = findings(_text(corrected, one.also if one.then is None else one.then), **one.environment)
    assert [str(f.message) for f in after if f.severity != "note"] == []


def test_a_key_that_stands_twice_is_removed() -> None:
    text = f"services:\n  shop:\n    deploy:\n      labels:\n        {LB}hosts: a.example\n        {LB}port: 80\n"
    twice = text + f"        {LB}port: 80\n"
    (found,) = findings(twice)
    assert (found.code, found.remedy) == ("key-repeated", "Remove one of them")
    assert findings(text) == ()


def test_a_version_is_written_as_the_remedy_says() -> None:
    for version, remedy in ((3.7, 'Write "3.7", in quotes'), ("2", 'Write "3.8"')):
        (found,) = findings(dumped({"services": {}, "version": version}))
        assert (found.code, found.key) == ("stack-invalid", "version")
        assert found.remedy.startswith(remedy)
    assert findings(dumped({"services": {}, "version": "3.7"})) == ()


def test_every_code_has_its_case() -> None:
    covered = {one.code for one in CASES} | {"key-repeated"}
    assert covered == (CODES.keys() | OF_FILES.keys()) - NOT_FROM_A_FILE.keys()


def test_each_finding_points_at_its_service_or_label() -> None:
    for one in CASES:
        text = _text(one.labels, one.also)
        lines = text.splitlines()
        for found in findings(text):
            assert re.search(r"^\s+(-\s)?['\w.]", lines[found.line - 1]), (one.code, found)


def test_the_stack_in_which_nothing_is_wrong_is_what_the_cases_begin_with() -> None:
    assert findings(dumped({"services": {}})) == findings(stack_text()) == ()
