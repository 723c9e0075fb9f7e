"""No value can leave its quotes or add a directive: against a reader of nginx's grammar, and against nginx itself."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.errors import ConfigRejected
from interlock.model.routing import Endpoint, Route, Upstream, VirtualHost
from interlock.runtime.parts import find_nginx
from interlock_extension.nginx import escape
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.render import Facts, NginxRenderer
from interlock_extension.port import HostView
from support.nginx_lab import until

NASTY = st.text(alphabet="ab/$\"'\\;{}#~*=^ \t\n\r\0\x7fé\ud800.:-[]()", max_size=20)
# Not drawn letter by letter, which takes most of an example's time.
LONG = st.builds(
    lambda text, size: (text * size)[:size],
    st.text(min_size=1, max_size=12, alphabet="x\\é"),
    st.integers(1000, 1100),
)
ANY = st.one_of(NASTY, st.text(max_size=40), LONG)


def tokens(text: str) -> list[list[str]]:
    """Statements as nginx's parser reads them (`ngx_conf_read_token`); `{` and `}` are statements of their own."""
    statements: list[list[str]] = []
    words: list[str] = []
    at = 0
    while at < len(text):
        mark = text[at]
        if mark in " \t\r\n":
            at += 1
        elif mark == "#":
            at = text.index("\n", at)
        elif mark in ";{}":
            statements.append([*words, mark])
            words = []
            at += 1
        elif mark in "\"'":
            word, at = _quoted(text, at + 1, mark)
            assert text[at] in " \t\r\n;{)", "nginx wants a blank after a quote"
            words.append(word)
        else:
            word, at = _bare(text, at)
            words.append(word)
    assert not words, "unterminated"
    return statements


def _quoted(text: str, at: int, mark: str) -> tuple[str, int]:
    word = ""
    while text[at] != mark:
        if text[at] == "\\" and text[at + 1] in "\"'\\":
            at += 1
        elif text[at] == "\\" and text[at + 1] in "trn":
            word += {"t": "\t", "r": "\r", "n": "\n"}[text[at + 1]]
            at += 2
            continue
        word += text[at]
        at += 1
    return word, at + 1


def _bare(text: str, at: int) -> tuple[str, int]:
    word = ""
    while text[at] not in " \t\r\n;{":
        if text[at] == "$" and text[at + 1] == "{":
            word += text[at]
            at += 1
        word += text[at]
        at += 1
    return word, at


@given(ANY)
def test_a_quoted_value_reads_back_as_itself(value: str) -> None:
    try:
        written = escape.quoted(value)
    except ConfigRejected:
        return
    assert tokens(f"directive {written};") == [["directive", value, ";"]]


@given(ANY)
def test_an_interpolated_value_holds_no_variable_but_the_dollar(value: str) -> None:
    try:
        written = escape.interpolated(value)
    except ConfigRejected:
        return
    [[_, word, _]] = tokens(f"directive {written};")
    assert "$" not in word.replace(f"${{{escape.DOLLAR}}}", "")
    assert word.replace(f"${{{escape.DOLLAR}}}", "$") == value


@given(ANY)
def test_control_characters_and_what_is_not_utf8_are_refused(value: str) -> None:
    bad = any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in value)
    if bad or len(value.encode("utf-8", "surrogatepass")) > escape.LONGEST:
        with pytest.raises(ConfigRejected):
            escape.quoted(value)
    else:
        escape.quoted(value)


@given(ANY)
def test_names_and_addresses_are_plain_or_refused(value: str) -> None:
    for function in (escape.server_name, escape.identifier, escape.duration, escape.size, escape.sizes):
        try:
            written = function(value)
        except ConfigRejected:
            continue
        [[_, *words, _]] = tokens(f"directive {written};") if written else [["directive", ";"]]
        assert " ".join(words) == " ".join(value.split())
        assert not any(c in "$;{}\"'\\~" for c in " ".join(words))
    try:
        written = escape.address(value, 80)
    except ConfigRejected:
        return
    assert not any(c in "$;{}\"'\\~ " for c in written)


def _renderer() -> NginxRenderer:
    facts = Facts(listen=("127.0.0.1:1",), proxy_id="p", server_info="i", stub_status=False)
    return NginxRenderer(read_config({}), facts)


def _view(host: str, paths: list[str], rewrite: bool) -> HostView:
    routes = tuple(Route(path=path, rewrite=rewrite, upstream=f"u{n}") for n, path in enumerate(paths))
    servers = (Endpoint(address="10.0.0.1", port=80, task="t", service_id="s", service="s"),)
    return HostView(
        host=VirtualHost(host=host, routes=routes),
        upstreams=tuple(Upstream(name=f"u{n}", endpoints=servers) for n in range(len(paths))),
    )


def _shape(text: str) -> list[str]:
    """Directives without their values."""
    return [statement[0] for statement in tokens(text)]


@given(st.one_of(ANY, st.sampled_from(["a.example", "*.a.example"])), st.lists(ANY, max_size=3), st.booleans())
def test_a_host_file_has_the_shape_of_a_harmless_one(host: str, paths: list[str], rewrite: bool) -> None:
    made = _renderer()
    try:
        text = made.host(_view(host, paths, rewrite)).decode()
    except ConfigRejected:
        return
    harmless = [f"/p{n}" if path.rstrip("/") else path for n, path in enumerate(paths)]
    assert _shape(text) == _shape(made.host(_view("plain.example", harmless, rewrite)).decode())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NASTY.map(lambda text: "/" + text), min_size=5, max_size=40))
def test_nginx_itself_takes_the_values(tmp_path: Path, values: list[str]) -> None:
    written = []
    for value in dict.fromkeys(values):
        try:
            written.append((escape.path(value), escape.interpolated(value)))
        except ConfigRejected:
            continue
    (tmp_path / "logs").mkdir(exist_ok=True)
    _configure(
        tmp_path,
        "".join(f"location = {path} {{ return 200 {text}; }} location ^~ {path} {{ }}\n" for path, text in written),
    )
    done = subprocess.run([*_nginx(tmp_path), "-t"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def test_nginx_answers_with_the_values_themselves(tmp_path: Path) -> None:
    pick = random.Random(7)
    alphabet = "ab/$\"'\\;{}#~*=^ é(){host}"
    values = ["$host", "${host}", "\\", '\\"', 'x"; return 403; #', "$il_dollar", "\\$host", "{{", "\\n"]
    values += ["".join(pick.choices(alphabet, k=12)) for _ in range(150)]
    _configure(
        tmp_path,
        "".join(f"location = /{n} {{ return 200 {escape.interpolated(v)}; }}\n" for n, v in enumerate(values)),
    )
    process = subprocess.Popen(_nginx(tmp_path))
    try:
        until((tmp_path / "nginx.pid").exists, "nginx is up")
        for n, value in enumerate(values):
            assert _get(tmp_path / "s", f"/{n}") == value
    finally:
        process.terminate()
        process.wait()


def _configure(folder: Path, locations: str) -> None:
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(
        "daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off;"
        "client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;"
        f'geo ${escape.DOLLAR} {{ default "$"; }}\nserver {{ listen unix:{folder}/s; {locations} }} }}'
    )
    if os.geteuid() == 0:
        # Workers of another user could not pass pytest's folder.
        (folder / "nginx.conf").write_text("user root root;" + (folder / "nginx.conf").read_text())


def _nginx(folder: Path) -> list[str]:
    return [str(find_nginx().path), "-p", str(folder), "-c", "nginx.conf"]


def _get(path: Path, what: str) -> str:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))
        link.sendall(f"GET {what} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while data := link.recv(65536):
            answer += data
    return answer.partition(b"\r\n\r\n")[2].decode()
