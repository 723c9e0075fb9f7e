"""What is rendered besides hosts, and what is written of one value: names, sizes, the file for checks, generations."""

from __future__ import annotations

from collections import Counter

import jinja2
import pytest

from interlock.errors import ConfigRejected
from interlock.model.routing import Endpoint, Upstream, VirtualHost, unserved
from interlock_extension.nginx import escape, render
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.render import Facts, NginxRenderer
from interlock_extension.port import HostView
from support.nginx_lab import view


def made(
    *,
    user: tuple[str, str] | None = None,
    keepalive_min: bool = True,
    modules: tuple[str, ...] = (),
    **options: object,
) -> NginxRenderer:
    facts = Facts(
        listen=("8080",),
        proxy_id="p",
        server_info="i",
        stub_status=True,
        user=user,
        keepalive_min_timeout=keepalive_min,
        load_modules=modules,
    )
    return NginxRenderer(read_config(options), facts)


def lines(data: bytes) -> Counter[str]:
    return Counter(line.strip() for line in data.decode().splitlines())


def test_the_file_for_checks_differs_in_its_logs_alone() -> None:
    for default in (True, False):
        live = lines(made().shared(2000, 200, default=default)["nginx.conf"])
        aside = lines(made().scratch(2000, 200, default=default)["nginx.conf"])
        assert set(aside - live) == {"error_log stderr warn;", "access_log off;"}
        assert set(live - aside) == {
            'error_log "/dev/stdout" warn;',
            "error_log refusals.log emerg;",
            'access_log "/dev/stdout" main;',
        }


@pytest.mark.parametrize(("path", "written"), [("/log$x", '"/log${il_dollar}x" trace'), ("off", "off")])
def test_the_access_log(path: str, written: str) -> None:
    main = made(AccessLogPath=path, LogFormat="trace").shared(1, 1, default=False)["nginx.conf"]
    assert f"access_log {written};" in lines(main)


def test_the_user_of_the_workers_is_named_or_left_to_nginx() -> None:
    assert 'user "www" "data x";' in lines(made(user=("www", "data x")).shared(1, 1, default=False)["nginx.conf"])
    assert b"\nuser " not in made().shared(1, 1, default=False)["nginx.conf"]


def test_an_nginx_that_has_no_keepalive_min_timeout_is_told_none() -> None:
    assert b"keepalive_min_timeout" not in made(keepalive_min=False).shared(1, 1, default=False)["nginx.conf"]


@pytest.mark.parametrize(("timeout", "written"), [(7, "7s"), ("300ms", "300ms")])
def test_a_connect_timeout_is_seconds_or_a_time(timeout: object, written: str) -> None:
    main = made(ConnectTimeout=timeout).shared(1, 1, default=False)["nginx.conf"]
    assert f"proxy_connect_timeout {written};" in lines(main)


def test_nginx_is_told_what_to_load() -> None:
    main = lines(made(modules=("/lib/a b.so", "/lib/c.so")).shared(1, 1, default=False)["nginx.conf"])
    assert {line for line in main if line.startswith("load_module")} == {
        'load_module "/lib/a b.so";',
        'load_module "/lib/c.so";',
    }


@pytest.mark.parametrize(("buffers", "kilobytes"), [("4 8k", 4), ("4 4k", 4), ("8 2k", 2), ("2 1k", 1)])
def test_the_pool_of_a_connection_is_no_larger_than_a_buffer(buffers: str, kilobytes: int) -> None:
    main = made(LargeClientHeaderBuffers=buffers).shared(1, 1, default=False)["nginx.conf"]
    assert f"connection_pool_size {kilobytes}k;" in lines(main)


def test_raw_lines_are_included_where_they_are_given() -> None:
    written = made(GlobalOptions=["env A;"], HTTPOptions=["gzip on;"]).shared(1, 1, default=False)
    assert written["http_options.conf"] == b"gzip on;\n"
    included = {line for line in lines(written["nginx.conf"]) if "_options" in line}
    assert included == {"include global_options.conf;", "include http_options.conf;"}


def test_the_files_of_one_generation() -> None:
    assert made().generation("/run/a b", "7-$9") == {
        "generation.conf": b'map "" $il_version {\n    default "7-${il_dollar}9";\n}\n',
        "workplace.conf": b'working_directory "/run/a b";\n',
    }


def test_a_host_that_cannot_be_written_is_named() -> None:
    with pytest.raises(ConfigRejected, match=r"^host a b: 'a b' is not a host name") as refusal:
        made().host(view("a b", 80))
    assert refusal.value.culprit == "a b"


def test_a_host_that_is_not_served_answers_503() -> None:
    text = made().unserved("a.test").decode()
    assert text.encode() == made().host(HostView(host=unserved("a.test")))
    assert '    server_name "a.test";\n' in text
    assert "        return 503 " in text
    assert "proxy_pass http://a" not in text
    with pytest.raises(ConfigRejected, match=r"^host a b: 'a b' is not a host name") as refusal:
        made().unserved("a b")
    assert refusal.value.culprit == "a b"


def test_a_value_of_a_host_that_was_not_escaped_ends_the_rendering() -> None:
    renderer = made()
    values = {**renderer._host_values(view("a.test", 80)), "server_name": "a; include x"}
    with pytest.raises(ConfigRejected, match=r"^'a; include x' was about to be written without being escaped$"):
        renderer._rendered(renderer._host, values)


def test_a_path_loses_its_last_slashes_alone() -> None:
    assert b'location ^~ "/boX/" {' in made().host(view("a.test", 80, path="/boX//"))


def test_an_upstream_that_no_route_names_has_no_policy() -> None:
    alone = Upstream(
        name="u", endpoints=(Endpoint(address="10.0.0.1", port=80, task="t", service_id="s", service="s"),)
    )
    text = made().host(HostView(host=VirtualHost(host="a.test"), upstreams=(alone,))).decode()
    assert "    server 10.0.0.1:80;\n" in text
    assert "hash" not in text


@pytest.mark.parametrize(("longest", "size"), [(1, 128), (102, 128), (103, 256), (230, 256), (231, 512)])
def test_a_bucket_of_names(longest: int, size: int) -> None:
    """An entry is a pointer, the name with its length, and a pointer that ends the bucket, each aligned."""
    assert render.bucket_size(longest) == size


@pytest.mark.parametrize(("hosts", "size"), [(0, 1024), (512, 1024), (513, 2048), (1024, 2048), (1025, 4096)])
def test_a_hash_has_room_for_twice_the_names(hosts: int, size: int) -> None:
    assert render.hash_size(hosts) == size


@pytest.mark.parametrize(
    ("servers", "least", "size"),
    [(0, 64, 64), (84, 100, 100), (48, 64, 64), (49, 64, 128), (112, 64, 128), (113, 64, 256)],
)
def test_a_zone_grows_by_powers_of_two(servers: int, least: int, size: int) -> None:
    assert render.zone_size(servers, least) == size


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("8080", "8080"),
        ("1", "1"),
        ("65535", "65535"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[2001:DB8::1]:443", "[2001:db8::1]:443"),
    ],
)
def test_what_nginx_listens_on(given: str, written: str) -> None:
    assert render.listen(given) == written


@pytest.mark.parametrize("given", ["", "0", "host:80", "127.0.0.1:0", "X::1X:80"])
def test_what_nginx_cannot_listen_on(given: str) -> None:
    with pytest.raises(ConfigRejected, match=r"write a port or address:port|is not an IP address"):
        render.listen(given)


def test_a_redirect_takes_what_the_client_asked_for() -> None:
    assert escape.redirect("https://a.test:8443") == '"https://a.test:8443$request_uri"'
    with pytest.raises(ConfigRejected, match="write a scheme and a host"):
        escape.redirect("https://a.test/$x")


def test_a_cookie_is_a_variable_where_its_name_can_be_one_and_else_a_pattern() -> None:
    assert escape.cookie_variable("session_1") == "$cookie_session_1"
    assert escape.cookie_variable("my-session") is None
    assert escape.cookie_variable("a" * 65) is None
    assert escape.cookie_pattern("a.b$") == r'"~(?:^|;[ ]*)a\\.b\\$=([^;]*)"'
    with pytest.raises(ConfigRejected, match="control characters"):
        escape.cookie_pattern("a\n")


@pytest.mark.parametrize(
    ("write", "value", "said"),
    [
        (escape.size, "32q", "'32q' is not a size such as 32m"),
        (escape.sizes, "4 8q", "'8q' is not a size such as 32m"),
        (escape.duration, "75d", "'75d' is not a time such as 75s"),
        (escape.http_version, "2", "'2' is not 1.0 or 1.1"),
        (escape.identifier, "A", "'A' is not a name of lower-case letters, digits and underscores (at most 120)"),
        (escape.path, "x", "path 'x' does not begin with a slash"),
        (escape.quoted, "a\x00", "'a\\x00' holds control characters"),
        (escape.quoted, "x" * 1025, f"'{'x' * 60}'… is 1025 bytes long; nginx takes at most 1024 here"),
    ],
)
def test_what_cannot_be_written_is_refused_by_its_value(write: object, value: str, said: str) -> None:
    with pytest.raises(ConfigRejected) as refusal:
        write(value)  # type: ignore[operator]
    assert str(refusal.value) == said


def test_an_endpoint_that_nginx_cannot_ask() -> None:
    with pytest.raises(ConfigRejected, match=r"^endpoint 'fe80::1%eth0' has a scope, which nginx cannot write$"):
        escape.address("fe80::1%eth0", 80)


def test_the_longest_that_is_written() -> None:
    assert escape.quoted("x" * 1024) == f'"{"x" * 1024}"'
    assert escape.server_name("*.a.test") == '"*.a.test"'
    with pytest.raises(ConfigRejected, match="is not a host name"):
        escape.server_name("~a")
    assert escape.identifier("x" * 120) == "x" * 120
    with pytest.raises(ConfigRejected, match=r"\(at most 120\)"):
        escape.identifier("x" * 121)


def test_a_template_that_names_what_it_is_not_given_ends_the_rendering() -> None:
    with pytest.raises(jinja2.UndefinedError):
        made()._workplace.render()


def test_an_nginx_without_stub_status_says_so_at_its_status_page() -> None:
    facts = Facts(listen=("8080",), proxy_id="p", server_info="i", stub_status=False)
    text = NginxRenderer(read_config({}), facts).host(view("a.test", 80)).decode()
    expected = """\
    location = /nginx_status {
        access_log off;
        default_type text/plain;
        return 501 "This nginx was built without its stub_status module.";
    }
"""
    assert expected in text
