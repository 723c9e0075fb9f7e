"""What renderers share: tokens and who lets them pass, what must hold of a value, a host's file and its name."""

from __future__ import annotations

import re

import jinja2
import pytest

from interlock.errors import ConfigRejected
from interlock.model.routing import DEFAULT_HOST
from interlock_extension.rendering import values
from interlock_extension.rendering.hosts import file_stem, naming
from interlock_extension.rendering.tokens import Token, only_tokens, strict_environment


def refused(write: object, *given: object) -> str:
    with pytest.raises(ConfigRejected) as refusal:
        write(*given)  # type: ignore[operator]
    return str(refusal.value)


def test_tokens_and_numbers_pass_and_nothing_else() -> None:
    assert [only_tokens(each) for each in (Token("a b"), 7, "")] == ["a b", 7, ""]
    for bare in ("a", None, 1.5, ["a"]):
        assert refused(only_tokens, bare) == f"{bare!r} was about to be written without being escaped"


def test_a_template_writes_tokens_as_they_are_and_ends_at_a_bare_value_or_an_unknown_name() -> None:
    made = strict_environment(jinja2.DictLoader({"a": "{% if true %}\n{{ x }}\n{% endif %}\n"})).get_template("a")
    assert made.render(x=Token("<&>")) == "<&>\n"
    assert refused(lambda: made.render(x="<&>")) == "'<&>' was about to be written without being escaped"
    with pytest.raises(jinja2.UndefinedError):
        made.render()


def test_text_is_measured_as_it_is_written() -> None:
    assert values.utf8_size("aé") == 3
    assert refused(values.utf8_size, "\ud800") == "'\\ud800' is not text that can be written as UTF-8"


def test_control_characters_are_those_of_the_proxy() -> None:
    assert values.without_control("a\x85", re.compile(r"[\x00-\x1f]")) == "a\x85"
    assert refused(values.without_control, "a\x85", re.compile("\x85")) == "'a\\x85' holds control characters"


def test_a_host_name() -> None:
    longest = ".".join(["a" * 49] * 5 + ["abc"])
    assert len(longest) == 253
    for host in (longest, "*.a.test", "a.test.", "_a-b.test", "a" * 63):
        assert values.host_name(host) == host
    for host in (f"{longest}d", "A.test", "a_b..c", "~a", "", "*", "*.*.a", "a.*.b", "-a", "a-", "a" * 64, "a\n"):
        said = f"{host!r} is not a host name (lower case, IDNA as xn--…, at most one leading `*.`)"
        assert refused(values.host_name, host) == said


def test_a_path_begins_with_a_slash() -> None:
    assert values.url_path("/a b") == "/a b"
    assert refused(values.url_path, "a/") == "path 'a/' does not begin with a slash"


def test_a_redirect_goes_to_a_host_and_nothing_else() -> None:
    for target in ("https://a.test:8443", "http://a.test/x/y"):
        assert values.redirect_target(target) == target
    for target in (
        "https://a.test/x;", "https://a.test/$x", "ftp://a.test", "https://a.test$x", 'https://a.test"', "a.test"
    ):  # fmt: skip
        said = f"redirect to {target!r}: write a scheme and a host, such as https://shop.example.com"
        assert refused(values.redirect_target, target) == said


def test_an_identifier() -> None:
    assert values.identifier("a_1", 3) == "a_1"
    for name in ("a_12", "", "A", "a-b", "a\n"):
        said = f"{name!r} is not a name of lower-case letters, digits and underscores (at most 3)"
        assert refused(values.identifier, name, 3) == said


def test_an_address() -> None:
    assert values.address("10.0.0.1", 1, "it") == "10.0.0.1:1"
    assert values.address("2001:DB8::1", 65535, "it") == "[2001:db8::1]:65535"


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("shop", 80, "endpoint 'shop' is not an IP address"),
        ("fe80::1%eth0", 80, "endpoint 'fe80::1%eth0' has a scope, which it cannot write"),
        ("10.0.0.1", 0, "endpoint 10.0.0.1: port 0 is not within 1 to 65535"),
        ("10.0.0.1", 65536, "endpoint 10.0.0.1: port 65536 is not within 1 to 65535"),
    ],
)
def test_an_endpoint_that_no_proxy_can_ask(host: str, port: int, said: str) -> None:
    assert refused(values.address, host, port, "it") == said


@pytest.mark.parametrize(
    ("given", "parts"),
    [("1", ("", "1")), ("065535", ("", "065535")), ("a:80", ("a", "80")), ("[::1]:443", ("[::1]", "443"))],
)
def test_what_is_listened_on_has_a_port_and_maybe_an_address(given: str, parts: tuple[str, str]) -> None:
    assert values.listen_parts(given) == parts


@pytest.mark.parametrize("given", ["", "0", "65536", "٣", "80x", "127.0.0.1:0", "127.0.0.1:", "80; include x"])
def test_what_cannot_be_listened_on(given: str) -> None:
    assert refused(values.listen_parts, given) == f"listen address {given!r}: write a port or address:port"


def test_each_host_has_a_file_of_its_own() -> None:
    names = ["a.example", "*.a.example", DEFAULT_HOST, "_a.example", "x" * 250, "A", "a/b", "../b", "_default"]
    stems = [file_stem(name) for name in names]
    assert len(set(stems)) == len(stems)
    assert stems[:3] == ["a.example", "_wild.a.example", "_default"]
    assert not any("/" in stem or ".." in stem for stem in stems)


def test_a_name_that_is_no_file_name_becomes_a_digest_that_stays_the_same() -> None:
    # Files of an earlier version are found again, and removed, by their names.
    assert file_stem("_a.example") == "_x34f95cb1fb7ff9bdeef633bf93401381"
    assert re.fullmatch(r"_x[0-9a-f]{32}", file_stem("a\ud800"))


def test_what_is_refused_within_is_its_hosts() -> None:
    with pytest.raises(ConfigRejected, match=r"^host a\.test: no$") as refusal, naming("a.test"):
        raise ConfigRejected("no")
    assert refusal.value.culprit == "a.test"
    with pytest.raises(ValueError, match=r"^no$"), naming("a.test"):
        raise ValueError("no")
