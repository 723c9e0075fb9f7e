"""Raw lines of an operator: their files, what of ours gives way to them, and who is at fault for a refusal."""

from __future__ import annotations

import pytest

from interlock_extension.nginx.config import NginxConfig
from interlock_extension.nginx.raw import blame, complaint, raw_files, replaced, without_raw_lines
from interlock_extension.nginx.refusal import Refusal, read_refusal

CONFIG = NginxConfig(
    global_options=("env A;",),
    http_options=("gzip on;", "map $a $b {\n  default 1;\n}", "server_tokens on;"),
    tcp_options=("server { listen 1; return x; }",),
    main_log_format="'$status'\n  '$nothing';",
)


def refusal(said: str) -> Refusal:
    found = read_refusal(f"nginx: [emerg] {said}")
    assert found is not None
    return found


def test_each_key_has_a_file_of_its_own() -> None:
    assert raw_files(CONFIG) == {
        "global_options.conf": b"env A;\n",
        "http_options.conf": b"gzip on;\nmap $a $b {\n  default 1;\n}\nserver_tokens on;\n",
        "tcp_options.conf": b"server { listen 1; return x; }\n",
        "main_log_format.conf": b"log_format main '$status'\n  '$nothing';\n",
    }
    assert raw_files(NginxConfig()) == raw_files(without_raw_lines(CONFIG)) == {}


@pytest.mark.parametrize(
    ("said", "key", "item"),
    [
        ("unknown x in /d/check/http_options.conf:1", "HTTPOptions", 1),
        ("unknown x in /d/check/http_options.conf:2", "HTTPOptions", 2),
        ("unknown x in /d/check/http_options.conf:4", "HTTPOptions", 2),
        ("unknown x in /d/check/http_options.conf:5", "HTTPOptions", 3),
        ('unexpected end of file, expecting "}" in /d/check/http_options.conf:6', "HTTPOptions", 3),
        ("unknown x in /d/check/global_options.conf:1", "GlobalOptions", 1),
        ('unknown "a" variable', "HTTPOptions", 2),
        ('unknown "nothing" variable', "MainLogFormat", None),
        ("unknown x in /d/check/main_log_format.conf:2", "MainLogFormat", None),
    ],
)
def test_who_is_at_fault(said: str, key: str, item: int | None) -> None:
    culprit = blame(CONFIG, refusal(said))
    assert culprit is not None
    assert (culprit.key, culprit.item) == (key, item)


@pytest.mark.parametrize("said", ["unknown x in /d/check/nginx.conf:1", 'unknown "other" variable', "no idea"])
def test_who_is_not_known_is_not_blamed(said: str) -> None:
    assert blame(CONFIG, refusal(said)) is None


def test_the_remedy_fits_what_was_said() -> None:
    assert complaint(refusal('unknown directive "x" in /d/f.conf:3')) == 'unknown directive "x"; correct the line'
    assert "leave the line out" in complaint(refusal('"daemon" directive is duplicate in /d/f.conf:3'))
    assert 'end a directive with ";"' in complaint(refusal('unexpected end of file, expecting ";" or "}" in /d/f:3'))


def test_ours_gives_way_to_a_raw_line_of_its_context() -> None:
    main = (
        "server_tokens off;\nhttp {\n    server_tokens off;\n    gzip off;\n    server {\n        server_tokens off;\n"
    )
    kept = "server_tokens off;\nhttp {\n    gzip off;\n    server {\n        server_tokens off;\n"
    assert replaced(main, CONFIG) == kept
    assert replaced(main, without_raw_lines(CONFIG)) == main
    # Of a block's inside nothing is said about the context around it.
    assert replaced(main, NginxConfig(http_options=("server { server_tokens on; }",))) == main
