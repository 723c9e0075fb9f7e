"""No value can leave its word, its line or its command: against readers of HAProxy's languages, and HAProxy itself."""

from __future__ import annotations

import shutil
import string
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import ConfigRejected
from interlock.model.routing import Endpoint, HostRedirect, Route, Upstream, VirtualHost
from interlock_extension.haproxy import delta, escape
from interlock_extension.haproxy.render import compose
from interlock_extension.haproxy.routes import NOTHING
from interlock_extension.port import HostView
from support.haproxy_lab import checked, each_haproxy, files_for, haproxy_lab, renderer, write
from support.nginx_lab import ask, view

NASTY = st.text(alphabet="ab/$\"'\\;{}#~*=^%[]<> \t\n\r\0\x7f\x85é\ud800.:-()|,", max_size=20)
ANY = st.one_of(NASTY, st.text(max_size=40), st.text(min_size=1000, max_size=1100, alphabet="x\\é"))
Escape = Callable[[str], str]


def words(line: str) -> list[str]:
    """A line of the configuration as HAProxy splits it (`parse_line`), variables left out since quotes are strong."""
    found: list[str] = []
    word, inside, strong = "", False, False
    marks = iter(line)
    for mark in marks:
        assert mark not in "\n\r\0"
        if strong and mark != "'":
            word += mark
        elif mark == "'":
            strong, inside = not strong, True
        elif mark == "\\":
            word, inside = word + next(marks), True
        elif mark in " \t":
            found += [word] if inside else []
            word, inside = "", False
        else:
            assert mark not in '#$"', "a word that must be quoted"
            word, inside = word + mark, True
    assert not strong
    return found + ([word] if inside else [])


def command_words(line: str) -> list[list[str]]:
    """A line of the runtime API: commands, each its words."""
    commands: list[list[str]] = [[""]]
    marks = iter(line)
    for mark in marks:
        assert mark not in "\n\r\0"
        if mark == "\\":
            commands[-1][-1] += next(marks)
        elif mark == ";":
            commands.append([""])
        elif mark == " ":
            commands[-1].append("")
        else:
            commands[-1][-1] += mark
    return commands


def _written(function: Escape, value: str) -> str | None:
    try:
        return function(value)
    except ConfigRejected:
        return None


@settings(deadline=None)
@given(ANY)
def test_words_of_the_configuration_read_back_as_themselves(value: str) -> None:
    if (written := _written(escape.quoted, value)) is not None:
        assert words(f"a {written} b") == ["a", value, "b"]
    if (written := _written(escape.formatted, value)) is not None:
        [_, word, _] = words(f"a {written} b")
        assert "%" not in word.replace("%%", "")
        assert word.replace("%%", "%") == value


@settings(deadline=None)
@given(ANY)
def test_words_of_a_command_read_back_as_themselves(value: str) -> None:
    if (written := _written(escape.word, value)) is not None:
        assert command_words(f"a {written} b;c") == [["a", value, "b"], ["c"]]
        assert "<" not in written


@settings(deadline=None)
@given(ANY)
def test_entries_of_a_map_read_back_as_themselves(value: str) -> None:
    key, text = _written(escape.key, value), _written(escape.text, value)
    if key is not None:
        assert (key, key.split()) == (value, [value])
        assert not key.startswith("#")
    if text is not None:
        assert (text, text.strip(), text.splitlines()) == (value, value, [value])


@pytest.mark.parametrize("function", [escape.quoted, escape.formatted, escape.key, escape.text, escape.word])
@settings(deadline=None)
@given(ANY)
def test_control_characters_and_what_is_not_utf8_are_refused(function: Escape, value: str) -> None:
    bad = any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in value)
    if bad or len(value.encode("utf-8", "surrogatepass")) > escape.LONGEST:
        with pytest.raises(ConfigRejected):
            function(value)


@settings(deadline=None)
@given(ANY, st.integers(-1, 70_000))
def test_names_and_addresses_are_plain_or_refused(value: str, port: int) -> None:
    plain = set(string.ascii_letters + string.digits + "._-:*[]")
    for function in (escape.host, escape.identifier, escape.duration, escape.listen):
        assert set(_written(function, value) or "") <= plain
    assert set(_written(lambda v: escape.address(v, port), value) or "") <= plain
    assert set(escape.server("t", value, "1.2.3.4:5")) <= plain


@settings(deadline=None)
@given(ANY)
def test_a_cookie_is_one_key(value: str) -> None:
    for name in (value, "".join(c for c in value if c in "ab$'*^%|.+#")):
        if (written := _written(escape.cookie_pattern, name)) is not None:
            assert written.split() == [written]


TEXTS = st.one_of(ANY, st.sampled_from(["a.example", "*.a.example", "session"]))


@settings(deadline=None)
@given(TEXTS, st.lists(ANY.map(lambda text: f"/{text}"), max_size=3), st.booleans(), TEXTS)
def test_a_host_file_holds_nothing_but_what_belongs_there(
    host: str, paths: list[str], rewrite: bool, cookie: str
) -> None:
    made = renderer()
    given_ = _view(host, paths, rewrite, cookie)
    try:
        text = made.host(given_).decode()
    except ConfigRejected:
        return
    for line in text.splitlines():
        found = line.split()
        assert found[0] in {"backend", "balance", "hash-type", "server", "#map"}, line
    lines = [line for line in text.splitlines() if line.startswith("#map")]
    assert len(lines) == 1 + len({path.rstrip("/") for path in paths}) + (1 if cookie and paths else 0)
    maps = compose({made.file_of(host): text.encode()}, "1 x").files
    assert sum(
        data.count(b"\n") for name, data in maps.items() if name.endswith(".map") and "state" not in name
    ) == len(lines)


def _view(host: str, paths: list[str], rewrite: bool, cookie: str) -> HostView:
    routes = tuple(
        Route(path=path, rewrite=rewrite, upstream=f"u{n}", sticky_cookie=cookie) for n, path in enumerate(paths)
    )
    servers = (Endpoint(address="10.0.0.1", port=80, task="t", service_id="s", service="s"),)
    upstreams = tuple(Upstream(name=f"u{n}", endpoints=servers) for n in range(len(paths)))
    return HostView(host=VirtualHost(host=host, routes=routes), upstreams=upstreams)


@settings(deadline=None)
@given(ANY)
def test_a_redirect_goes_nowhere_else(target: str) -> None:
    for text in (target, f"https://b.example{target}"):
        redirect = HostRedirect(target=text, service="s", service_id="s")
        try:
            data = renderer().host(HostView(host=VirtualHost(host="a.example", redirect=redirect))).decode()
        except ConfigRejected:
            continue
        assert data == f"#map hosts.map a.example {text}\n"


@each_haproxy
def test_haproxy_answers_with_the_values_themselves(haproxy_binary: str) -> None:
    values = [
        "<<",
        "[",
        "%[src]",
        "%%ci",
        "$HOME",
        "${HOME}",
        '"',
        "'",
        "\\",
        "a'b\"c",
        "\\n",
        "#x",
        "é",
        "x; y",
        "%",
        "a  b",
        "[",
        "<<",
    ]
    for value in values:
        with tempfile.TemporaryDirectory() as folder, haproxy_lab(Path(folder) / "h", haproxy_binary) as lab:
            lab.renderer = renderer(lab.port, proxy_id=f"{value}.", AccessLogPath="off")
            redirect = HostRedirect(target="http://b.example", service="s", service_id="s")
            lab.start(HostView(host=VirtualHost(host="a.example", redirect=redirect)))
            told = ask(lab.port, "a.example").headers["x-proxy-id"]
            assert told.encode("latin-1").decode() == f"{value}."
            if "<" not in value:
                lab.run(delta.version(f"2 {value}."))
                assert lab.status("/interlock/version") == f"2 {value}."


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(NASTY, NASTY), min_size=5, max_size=30))
def test_haproxy_takes_the_files(pairs: list[tuple[str, str]]) -> None:
    made = renderer(GlobalOptions=[])
    files = files_for(made, view("plain.example", 1))
    for n, (path, cookie) in enumerate(pairs):
        try:
            files[f"hosts/{n}.cfg"] = made.host(_view(f"h{n}.example", [f"/{path}"], True, cookie)).replace(
                b"_u0", f"_u{n}".encode()
            )
        except ConfigRejected:
            continue
    folder = Path(tempfile.mkdtemp())
    try:
        write(folder, files)
        checked(folder)
    finally:
        shutil.rmtree(folder)


def test_nothing_is_nothing() -> None:
    assert renderer().written(NOTHING) == b""
