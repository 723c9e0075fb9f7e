"""A remedy that names a value is right: what it names is accepted by the same parser, whatever the bad value was."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.labels.hostnames import parse_host
from interlock.labels.known.hosts import parse_hosts
from interlock.labels.known.paths import parse_context_root
from interlock.labels.known.redirects import parse_redirects
from interlock.labels.known.websockets import parse_endpoints
from interlock.labels.reading import read

LB = "com.docker.lb."
_PIECES = st.sampled_from([
    "a", "a.t", "B.test", "*.", "*", "_", "http://", "https://", "://", "/", "//", ".", "..", "/app", "?x=1", "#f",
    ":", ":80", ";", " ", "\t", "stra\u00dfe", "\u03c2", "\u00e9", "\u200d", "\u00ad", "\u00df", "\u3002", "\uff0f",
    "'", '"', "-", "@", "%2F", "{", "$", "~", "=", "x" * 70, "[::1]", "xn--", "\u2488", "\u05d0", "1",
])  # fmt: skip
_TEXTS = st.one_of(st.lists(_PIECES, max_size=12).map("".join), st.text(max_size=12)).filter(
    lambda text: "," not in text
)

_OF_HOSTS = re.compile(r"Write only the host name, '(?P<only>[^']*)'|Separate hosts with commas: (?P<several>\S+)")
_OF_PUNYCODE = re.compile(r"Write (\S+), which is what browsers of today ask for, or (\S+) as older ones do")
_OF_ROOT = re.compile(r"com\.docker\.lb\.context_root=(\S*)")
_OF_PATHS = re.compile(r"Write (/\S*)")
_OF_URLS = re.compile(r"Write (https?://\S*)")


def hosts_named(remedy: str) -> list[str]:
    """The values of `hosts` that a remedy names."""
    found = _OF_HOSTS.search(remedy)
    named = [found["only"] if found["only"] is not None else found["several"]] if found else []
    punycode = _OF_PUNYCODE.search(remedy)
    return named + (list(punycode.groups()) if punycode else [])


@example("d.t/x?y=1")
@example("e.t//x")
@example("i.t/a b")
@example("a.t;http://i2.t")
@example("///")
@example("https://")
@example("http://straße.t/x/../y")
@example("straße.t")
@example("*.fußball.t:80")
@example("ß" * 60 + ".t")
@example("h" * 200 + "/" + "p" * 200)
@given(_TEXTS)
def test_of_hosts(text: str) -> None:
    for problem in read("shop", "s1", {LB + "hosts": text, LB + "port": "80"}).problems:
        for hosts in hosts_named(problem.remedy):
            parsed = parse_hosts(hosts)
            assert parsed.value, (text, problem.remedy)
            assert not parsed.flaws, (text, problem.remedy)
        for root in _OF_ROOT.findall(problem.remedy):
            assert not parse_context_root(root).flaws, (text, problem.remedy)
        assert not re.search(r"'[^']*[;\s][^']*'", problem.remedy), problem.remedy


@example("/a//b/../c")
@example("app")
@example("/..")
@example("//")
@example("/a/" + "../b/" * 90)
@given(_TEXTS)
def test_of_paths(text: str) -> None:
    for parse in (parse_context_root, parse_endpoints):
        for flaw in parse(text).flaws:
            for path in _OF_PATHS.findall(flaw.remedy):
                assert not parse(path).flaws, (text, flaw.remedy)


@example("/a//b/../c")
@example("/")
@given(_TEXTS)
def test_of_redirects(path: str) -> None:
    parsed = parse_redirects(f"http://old.test,http://new.test:81/{path}")
    # What was asked for follows the target, and begins with a slash.
    assert not any(redirect.target.endswith("/") for redirect in parsed.value or ())
    for flaw in parse_redirects(f"http://old.test/{path},http://new.test").flaws:
        assert not re.search(r"Write http://old\.test", flaw.remedy), "a source has no path"
    for flaw in parsed.flaws:
        assert not _OF_PATHS.search(flaw.remedy), "a path is no target"
        for target in _OF_URLS.findall(flaw.remedy):
            if "," not in target:
                assert not parse_redirects(f"http://old.test,{target}").flaws, (path, flaw.remedy)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("http://shop.test/x", ["shop.test"]),
        ("shop.test:80", ["shop.test"]),
        ("shop.test//x?y=1", ["shop.test"]),
        ("a.t;http://i2.t", ["a.t,i2.t"]),
        ("http://a.t/ http://b.t/", ["a.t,b.t"]),
        ("straße.t", ["xn--strae-oqa.t", "strasse.t"]),
        ("*.οδός.t", ["*.xn--pxavk3b.t"]),
    ],
)
def test_a_remedy_names_what_can_be_told(text: str, named: list[str]) -> None:
    (flaw,) = parse_host(text).flaws
    assert hosts_named(flaw.remedy)[: len(named)] == named


def test_paths_are_named_where_they_can_be_told() -> None:
    roots = {"/a//b/../c": "/a/c", "app": "/app", "/./x": "/x", "/a//": "/a"}
    assert {text: _OF_PATHS.findall(parse_context_root(text).flaws[0].remedy) for text in roots} == {
        text: [root] for text, root in roots.items()
    }
    (flaw,) = parse_host("d.t//x?y=1").flaws
    assert _OF_ROOT.findall(flaw.remedy) == ["/x"]
