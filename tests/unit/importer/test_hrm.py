"""HRM's labels, each row of what UCP 2 documented: what they become, and what is said where they do not map."""

from __future__ import annotations

import pytest

from interlock_importer.hrm import claims, translate
from interlock_importer.old import Mapped
from interlock_importer.stack import Network, Service

MESH = "com.docker.ucp.mesh.http"
BOTH = (Network(name="ucp-hrm", hrm=True), Network(name="back", hrm=False))


def service(*routes: str, ports: tuple[str, ...] = (), networks: tuple[Network, ...] = ()) -> Service:
    labels = {f"{MESH}.{number}": route for number, route in enumerate(routes, 1)}
    return Service(name="web", labels=labels, container_labels={}, ports=ports, exposed=(), networks=networks)


def short(mapped: Mapped) -> dict[str, str]:
    return {name.removeprefix("com.docker.lb."): value for name, value in mapped.labels.items()}


def kinds(mapped: Mapped) -> list[str]:
    return sorted(note.kind for note in mapped.notes)


@pytest.mark.parametrize(
    ("key", "claimed"), [(MESH, True), (f"{MESH}.80-1", True), (f"{MESH}.", True), (f"{MESH}s", False), ("x", False)]
)
def test_which_labels_are_hrms(key: str, claimed: bool) -> None:
    assert claims(key) is claimed


@pytest.mark.parametrize(
    ("route", "ports", "labels"),
    [
        ("external_route=http://x,internal_port=80", (), {"hosts": "x", "port": "80"}),
        (" internal_port = 80 , external_route = http://x/ ", (), {"hosts": "x", "port": "80"}),
        ("external_route=HTTP://x,internal_port=80", (), {"hosts": "x", "port": "80"}),
        ("external_route=sni://x,internal_port=443", (), {"hosts": "x", "port": "443", "ssl_passthrough": "true"}),
        ("external_route=http://,internal_port=80", (), {"port": "80", "default_backend": "true"}),
        ("external_route=sni://", ("443",), {"port": "443", "default_backend": "true", "ssl_passthrough": "true"}),
        ("external_route=http://x", ("8080",), {"hosts": "x", "port": "8080"}),
        ("external_route=http://x", ("80", "443"), {"hosts": "x"}),
        ("external_route=http://x", (), {"hosts": "x"}),
        ("external_route=http://x", ("",), {"hosts": "x"}),
        ("external_route=http://x,internal_port=1,sticky_sessions=sid", (), {
            "hosts": "x", "port": "1", "sticky_session_cookie": "sid"}),
        ("external_route=http://x,internal_port=1,include_forwarded_for=true", (), {"hosts": "x", "port": "1"}),
        ("8080=http://foo", (), {"hosts": "foo", "port": "8080"}),
        ("http://foo", ("80",), {"hosts": "foo", "port": "80"}),
        ("8443=sni://foo", (), {"hosts": "foo", "port": "8443", "ssl_passthrough": "true"}),
        ("80=http://a,80=http://b", (), {"hosts": "a,b", "port": "80"}),
        ("external_route=http://${HOST},internal_port=${PORT}", (), {"hosts": "${HOST}", "port": "${PORT}"}),
    ],
)  # fmt: skip
def test_a_route_that_maps_whole(route: str, ports: tuple[str, ...], labels: dict[str, str]) -> None:
    mapped = translate(service(route, ports=ports))
    assert short(mapped) == labels
    assert set(kinds(mapped)) == {"mapped"}


def test_include_forwarded_for_is_said_to_be_always_on() -> None:
    mapped = translate(service("external_route=http://x,internal_port=1,include_forwarded_for=true"))
    assert any("X-Forwarded-For is always sent on" in note.reason for note in mapped.notes)


def test_the_port_in_a_route_is_left_out_and_told() -> None:
    mapped = translate(service("external_route=http://x:8443,internal_port=80"))
    assert short(mapped) == {"hosts": "x", "port": "80"}
    assert kinds(mapped) == ["differs", "mapped"]


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("internal_port=80", "names no external_route"),
        ("", "names no external_route"),
        ("external_route=https://x,internal_port=80", "is neither http://HOST nor sni://HOST"),
        ("external_route=x,internal_port=80", "is neither http://HOST nor sni://HOST"),
        ("external_route=${ROUTE},internal_port=80", "holds a variable"),
        ("external_route=http://x,internal_port=80,weight=3", "is nothing that HRM is known to read"),
        ("external_route=sni://x,internal_port=80,sticky_sessions=sid", "needs to read HTTP"),
        ("external_route=sni://x,redirect=http://y", "passes TLS through"),
        ("external_route=http://,redirect=http://y", "has no host to redirect"),
    ],
)
def test_what_does_not_map_says_why_and_what_to_do(route: str, reason: str) -> None:
    notes = [note for note in translate(service(route)).notes if note.kind == "unmapped"]
    assert any(reason in note.reason for note in notes)
    assert all(note.remedy for note in notes)


def test_routes_of_one_port_share_their_hosts() -> None:
    mapped = translate(service("external_route=http://a,internal_port=80", "external_route=http://b", ports=("80",)))
    assert short(mapped) == {"hosts": "a,b", "port": "80"}


def test_of_routes_with_different_ports_the_first_is_mapped() -> None:
    mapped = translate(service("external_route=http://a,internal_port=80", "external_route=http://b,internal_port=81"))
    assert short(mapped) == {"hosts": "a", "port": "80"}
    (note,) = [note for note in mapped.notes if note.kind == "unmapped"]
    assert note.key == f"{MESH}.2"
    assert "81" in note.reason
    assert "service of its own" in note.remedy


def test_a_service_passes_tls_through_or_not() -> None:
    mapped = translate(service("external_route=http://a,internal_port=80", "external_route=sni://b,internal_port=80"))
    assert short(mapped) == {"hosts": "a", "port": "80"}
    assert kinds(mapped) == ["mapped", "unmapped"]


@pytest.mark.parametrize(
    ("first", "second", "cookie", "kind"),
    [("a", "b", "a", "unmapped"), ("a", "", "a", "differs"), ("", "b", "", "unmapped"), ("a", "a", "a", "mapped")],
)
def test_a_service_has_one_cookie(first: str, second: str, cookie: str, kind: str) -> None:
    routes = [
        f"external_route=http://{host},internal_port=1,sticky_sessions={name}"
        for host, name in (("x", first), ("y", second))
    ]
    mapped = translate(service(*routes))
    assert short(mapped).get("sticky_session_cookie", "") == cookie
    assert short(mapped)["hosts"] == "x,y"
    assert kind in kinds(mapped)
    assert kind == "unmapped" or "unmapped" not in kinds(mapped)


@pytest.mark.parametrize(
    ("target", "redirects"),
    [
        ("http://new", "http://old,http://new"),
        ("https://new:8443/", "http://old,https://new:8443"),
        ("sni://new", "http://old,https://new"),
        ("${WHERE}", "http://old,${WHERE}"),
    ],
)
def test_a_redirect_needs_no_port_and_becomes_302(target: str, redirects: str) -> None:
    routes = (f"external_route=http://old,redirect={target}", "external_route=http://new,internal_port=80")
    mapped = translate(service(*routes))
    assert short(mapped) == {"hosts": "new,old", "port": "80", "redirects": redirects}
    (note,) = [note for note in mapped.notes if note.kind == "differs"]
    assert "302 instead of 301" in note.reason


def test_http_to_https_is_a_redirect_beside_a_route_that_passes_tls_through() -> None:
    routes = ("external_route=http://x,redirect=https://x", "external_route=sni://x,internal_port=443")
    labels = {"hosts": "x", "port": "443", "ssl_passthrough": "true", "redirects": "http://x,https://x"}
    assert short(translate(service(*routes))) == labels


def test_a_host_that_is_routed_and_redirected_is_told() -> None:
    mapped = translate(service("external_route=http://x,redirect=http://y", "external_route=http://x", ports=("80",)))
    assert any("serves nothing else" in note.reason for note in mapped.notes)


def test_several_redirects_are_one_label() -> None:
    mapped = translate(service(*(f"external_route=http://{old},redirect=http://new" for old in "ab"), ports=("80",)))
    labels = {"hosts": "a,b", "port": "80", "redirects": "http://a,http://new;http://b,http://new"}
    assert short(mapped) == labels


def test_of_several_networks_the_one_of_hrm_serves() -> None:
    route = "external_route=http://x,internal_port=80"
    assert short(translate(service(route, networks=BOTH)))["network"] == "ucp-hrm"
    assert "network" not in short(translate(service(route, networks=BOTH[:1])))
    unclear = translate(service(route, networks=(BOTH[1], Network(name="other", hrm=False))))
    assert "network" not in short(unclear)
    assert any(note.kind == "unmapped" and "com.docker.lb.network" in note.remedy for note in unclear.notes)


def test_labels_of_containers_were_never_read() -> None:
    label = {MESH: "external_route=http://x,internal_port=80"}
    odd = Service(name="web", labels={}, container_labels=label, ports=(), exposed=(), networks=())
    mapped = translate(odd)
    assert not mapped.labels
    assert kinds(mapped) == ["unmapped"]


def test_other_labels_are_nobodys_business() -> None:
    other = {"com.docker.lb.hosts": "x", "traefik.enable": "true"}
    mapped = translate(Service(name="web", labels=other, container_labels=other, ports=(), exposed=(), networks=BOTH))
    assert mapped == Mapped(labels={}, notes=())


@pytest.mark.parametrize("name", ["httpx", "https", "htpp.1", "Http"])
def test_a_misspelt_label_of_hrm_is_told(name: str) -> None:
    label = {f"com.docker.ucp.mesh.{name}": "external_route=http://x,internal_port=80"}
    for labels, inside in ((label, {}), ({}, label)):
        one = Service(name="web", labels=labels, container_labels=inside, ports=(), exposed=(), networks=())
        mapped = translate(one)
        assert not mapped.labels
        (note,) = mapped.notes
        assert (note.kind, note.key) == ("unmapped", f"com.docker.ucp.mesh.{name}")
        assert "Write com.docker.ucp.mesh.http" in note.remedy
