"""The extension for F5 without a device: names, values that are refused, options, and what a request meets."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import ConfigError, ConfigRejected
from interlock.model.routing import DEFAULT_HOST, HostRedirect, PassiveChecks, Route, Upstream, VirtualHost
from interlock.model.version import Token
from interlock_extension.port import HostView, Settings
from interlock_f5 import extension, render
from interlock_f5.declaration import compose, declare, read, tenant_name
from interlock_f5.options import F5Options, read_options
from interlock_f5.render import F5Renderer, application
from support import as3_schema
from support.as3_server import decide
from support.nginx_lab import endpoint, upstream, virtual_host

OPTIONS = F5Options(url="https://192.0.2.1", virtual_addresses=("192.0.2.10",), token_file="/token")
TOKEN = Token(epoch=7, nonce="seven")
RENDERER = F5Renderer(OPTIONS, "t")
GIVEN = {"URL": "https://192.0.2.1", "VirtualAddresses": ["192.0.2.10"], "TokenFile": "/token"}


def view(host: str, *paths: str, port: int = 80) -> HostView:
    policy = virtual_host(host, *(paths or ("/",)))
    served = tuple(upstream(host, (endpoint(port + n, f"{host}{n}"),), p) for n, p in enumerate(paths or ("/",)))
    return HostView(host=policy, upstreams=served)


def tenant(*views: HostView) -> dict:
    files = {RENDERER.file_of(v.host.host): RENDERER.host(v) for v in views}
    made = compose({**files, **RENDERER.shared(0, 0, default=False)}, TOKEN, "note")
    assert as3_schema.errors(declare("t", made)) == []
    assert read(made).files == {**files, **RENDERER.shared(0, 0, default=False)}
    return made


def test_the_same_requests_meet_the_same_as_on_any_proxy() -> None:
    made = tenant(
        view("*.example.org", port=8000),
        view("*.eu.example.org", port=8100),
        view("shop.example.org", "/app", "/", port=8200),
        view(DEFAULT_HOST, port=8300),
        HostView(host=virtual_host("empty.example.org", "/")),
        HostView(
            host=VirtualHost(
                host="old.org", redirect=HostRedirect(target="https://new.org", service="s", service_id="i")
            )
        ),
    )
    expected = {
        ("shop.example.org", "/"): {"127.0.0.1:8201"},
        ("SHOP.example.org.:8080", "/x"): {"127.0.0.1:8201"},
        ("shop.example.org", "/app"): {"127.0.0.1:8200"},
        ("shop.example.org", "/app/x"): {"127.0.0.1:8200"},
        ("shop.example.org", "/apple"): {"127.0.0.1:8201"},
        ("shop.example.org", "/APP"): {"127.0.0.1:8201"},
        ("any.example.org", "/"): {"127.0.0.1:8000"},
        ("a.eu.example.org", "/"): {"127.0.0.1:8100"},
        ("other.net", "/"): {"127.0.0.1:8300"},
        ("empty.example.org", "/"): None,
        ("old.org", "/a?b"): "redirect https://new.org/a?b",
    }
    assert {request: decide(made, *request) for request in expected} == expected
    assert decide(tenant(view("a.org")), "b.org", "/") is None, "nobody's host is served"


def test_stickiness_and_what_is_not_honoured() -> None:
    routes = (
        Route(path="/c", upstream="u1", sticky_cookie="my-id.x", websockets=("/c",)),
        Route(path="/i", upstream="u2", ip_hash=True, passive={"s": PassiveChecks(max_fails=3)}),
    )
    ends = tuple(Upstream(name=n, endpoints=(endpoint(80, n),)) for n in ("u1", "u2"))
    made = tenant(HostView(host=VirtualHost(host="a.org", routes=routes), upstreams=ends))
    persists = [a for r in made["ingress"]["routes"]["rules"] for a in r["actions"] if a["type"] == "persist"]
    assert [a.get("cookieHash", {}).get("name") or a["sourceAddress"]["netmask"] for a in persists] == [
        "my-id.x", "my-id.x", "255.255.255.255", "255.255.255.255",
    ]  # fmt: skip
    [first, second] = made[application("a.org")]["constants"]["ignored"]
    assert "websocket_endpoints" in first
    assert "max_fails" in second


BAD = [
    HostView(host=VirtualHost(host=host, routes=(Route(upstream="u"),)), upstreams=(Upstream(name="u"),))
    for host in ("tcl:[exec]", "a b", "a[b]", "*.*.org", "ä.org", "x" * 254, "a.org\n")
] + [
    HostView(host=VirtualHost(host="a.org", routes=(route,)), upstreams=(Upstream(name=route.upstream),))
    for route in (
        Route(path="/a b", upstream="u"),
        Route(path="/[HTTP::uri]", upstream="u"),
        Route(path="tcl:x", upstream="u"),
        Route(path="/app", rewrite=True, upstream="u"),
        Route(upstream="u", sticky_cookie="a b"),
        Route(upstream="u", sticky_cookie="[x]"),
        Route(upstream="U/../x"),
    )
] + [
    HostView(host=VirtualHost(host="a.org", redirect=HostRedirect(target=target, service="s", service_id="i")))
    for target in ("https://a.org[HTTP::host]", "https://a.org/$x", "ftp://a.org", "tcl:x")
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_plain_value_is_refused_by_the_hosts_name_and_never_written(bad: HostView) -> None:
    with pytest.raises(ConfigRejected) as refused:
        RENDERER.host(bad)
    assert refused.value.culprit == RENDERER.file_of(bad.host.host)


@given(st.text(max_size=60))
def test_names_in_a_declaration_are_names_whatever_the_host(host: str) -> None:
    assert re.fullmatch(as3_schema.NAME, application(host))
    assert re.fullmatch(as3_schema.NAME, tenant_name(f"eu/{host}"))


def test_clusters_never_share_a_tenant() -> None:
    assert len({tenant_name(c) for c in ("eu/a-b", "eu/a_b", "eu/~", "eu/a.b", "eu-a/b")}) == 5


@pytest.mark.parametrize("value", [None, [], "x", {"constants": 1, "ingress": [], "h_x": {"constants": {"host": 1}}}])
def test_a_tenant_of_another_making_holds_nothing_of_ours(value: object) -> None:
    assert read(value).files == {}
    assert read(value).epoch == 0


def test_options_are_taken_from_the_table_and_its_port() -> None:
    options = read_options({**GIVEN, "submittimeout": "0.3", "Monitors": ["/Common/http"]}, {}, ("8080",))
    assert (options.virtual_port, options.submit_timeout, options.monitors) == (8080, 0.3, ("/Common/http",))
    given = {name: value for name, value in GIVEN.items() if name != "VirtualAddresses"}
    assert read_options(given, {}, ("192.0.2.7:81", "[2001:db8::1]:81")).virtual_addresses == (
        "192.0.2.7",
        "2001:db8::1",
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"URL": "https://admin:secret@192.0.2.1"}, "without a user"),
        ({"URL": "192.0.2.1"}, "config.toml:3: URL: write https"),
        ({"URL": "https://192.0.2.1:99999"}, "config.toml:3: URL: write https"),
        ({"URL": "https://[::1"}, "config.toml:3: URL: write https"),
        ({"URL": "https://admin:secret"}, "config.toml:3: URL: write https"),
        ({"VirtualAddresses": ["nowhere"]}, "VirtualAddresses"),
        ({"VirtualAddresses": []}, "VirtualAddresses"),
        ({"User": "admin"}, "User and PasswordFile, or TokenFile"),
        ({"TokenFile": ""}, "User and PasswordFile, or TokenFile"),
        ({"SubmitTimeout": 1.5}, "what is left of a lease"),
        ({"SubmitTimeout": float("nan")}, "what is left of a lease"),
        ({"LookEvery": 0}, "LookEvery"),
        ({"Tenant": "1"}, "Tenant"),
        ({"Monitors": ["a b"]}, "Monitors"),
        ({"Password": "secret"}, "no such option"),
        ({"SubmitTimeout": "soon"}, "options of the extension 'f5'"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_and_no_secret_is_told(more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_options({**GIVEN, **more}, {"URL": "config.toml:3: URL"}, ("80",))
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_it_is_run_as_a_pool_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--pool"):
        extension.open(Settings(folder=tmp_path, options=dict(GIVEN)))


def test_a_template_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no templates"):
        extension.open(Settings(folder=tmp_path, options=dict(GIVEN), template="mine", fence=_Nobodys()))


class _Nobodys:
    def token(self, margin: float) -> None: ...

    def outbid(self, seen: int) -> None: ...


def test_what_should_be_pure_reaches_no_io() -> None:
    package = Path(render.__file__).parent
    for name in ("render", "declaration", "options", "answer"):
        tree = ast.parse((package / f"{name}.py").read_text())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {
            "os",
            "pathlib",
            "socket",
            "ssl",
            "http.client",
            "threading",
            "time",
            "interlock_f5.device",
        }
