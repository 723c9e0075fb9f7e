"""Host names: what is taken, what it becomes, and the remedy for what is not."""

from __future__ import annotations

import pytest

from interlock.labels.hostnames import parse_host
from interlock.labels.known.hosts import parse_hosts


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("shop.example.com", "shop.example.com"),
        ("Shop.EXAMPLE.com", "shop.example.com"),
        ("shop.example.com.", "shop.example.com"),
        ("localhost", "localhost"),
        ("my_app.local", "my_app.local"),
        ("10.0.0.1", "10.0.0.1"),
        ("*.example.com", "*.example.com"),
        ("*.Bücher.de", "*.xn--bcher-kva.de"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("例え.jp", "xn--r8jz45g.jp"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("a" * 63 + ".de", "a" * 63 + ".de"),
    ],
)
def test_taken(text: str, host: str) -> None:
    parsed = parse_host(text)
    assert parsed.value == host
    assert not parsed.flaws


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [
        ("https://shop.example.com", "scheme", "'shop.example.com'"),
        ("https://shop.example.com:8443/x", "scheme", "'shop.example.com'"),
        ("shop.example.com:8080", "port", "'shop.example.com'"),
        ("shop.example.com/app", "path", "com.docker.lb.context_root=/app"),
        (".".join(["abcdefg"] * 25) + "/app", "path", "Write only the host name, and the path in"),
        ("a.example.com b.example.com", "more than one", "commas"),
        ("a.example.com;b.example.com", "more than one", "commas"),
        ("*", "does not name", "default_backend=true"),
        ("_", "does not name", "default_backend=true"),
        ("_.", "does not name", "default_backend=true"),
        ("*._", "does not name", "default_backend=true"),
        ("_\u00ad", "does not name", "default_backend=true"),
        ("*.", "empty part", "*.example.com"),
        ("a.*.example.com", "characters other", "*.example.com"),
        ("shop.*", "characters other", "*.example.com"),
        ("~^shop", "characters other", "*.example.com"),
        ("a..b", "empty part", "shop.example.com"),
        ("-shop.example.com", "hyphen", "shop.example.com"),
        ("shop-.example.com", "hyphen", "shop.example.com"),
        ("a" * 64 + ".de", "64 characters", "shop.example.com"),
        ("a" * 62 + "~.de", "characters other", "shop.example.com"),
        (".".join(["abcdefg"] * 40), "253", "Shorten"),
        ("*.a." + ".".join(["abcdefgh"] * 28), "more than the 253", "Shorten"),
        ("straße.de", "encode differently", "xn--strae-oqa.de"),
        ("\u2488.example.com", "empty part", "shop.example.com"),
        ('shop"; return 200 "x', "more than one", "commas"),
        ('shop".example.com', "characters other", "shop.example.com"),
        ("shop\n.example.com", "more than one", "commas"),
        ("shop\x00.example.com", "characters other", "shop.example.com"),
        ("{shop}.example.com", "characters other", "shop.example.com"),
        ("$host", "characters other", "shop.example.com"),
        ("[::1]", "characters other", "shop.example.com"),
    ],
)
def test_refused(text: str, reason: str, remedy: str) -> None:
    parsed = parse_host(text)
    assert parsed.value is None
    (flaw,) = parsed.flaws
    assert flaw.value == text
    assert reason in flaw.reason
    assert remedy in flaw.remedy


def test_a_fullwidth_slash_does_not_smuggle_a_path_in() -> None:
    # IDNA folds U+FF0F to a plain slash.
    assert parse_host("shop\uff0fapp.de").value is None


def test_a_name_that_has_no_punycode() -> None:
    [flaw] = parse_host("é" * 70 + ".de").flaws
    assert (flaw.code, flaw.value) == ("host-invalid", "é" * 70 + ".de")
    assert flaw.reason.startswith("is no host name (")
    assert flaw.remedy == "Write a name such as shop.example.com or *.example.com"


def test_a_list_is_trimmed_folded_and_sorted() -> None:
    parsed = parse_hosts(" b.example.com, A.example.com,,a.EXAMPLE.com. ,")
    assert parsed.value == ("a.example.com", "b.example.com")
    assert not parsed.flaws


def test_a_bad_host_does_not_take_its_neighbours_along() -> None:
    parsed = parse_hosts("good.example.com,bad host,http://worse,also.good")
    assert parsed.value == ("also.good", "good.example.com")
    assert [flaw.value for flaw in parsed.flaws] == ["bad host", "http://worse"]
