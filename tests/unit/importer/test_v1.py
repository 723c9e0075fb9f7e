"""Interlock v1's labels, row by row: what they become, and what is said where they do not map."""

from __future__ import annotations

import pytest

from interlock_importer.old import Mapped
from interlock_importer.stack import Service
from interlock_importer.v1 import translate


def run(
    *, ports: tuple[str, ...] = ("80",), exposed: tuple[str, ...] = (), own: dict[str, str] | None = None, **labels: str
) -> Mapped:
    """The labels by their names without prefix; `__` stands for a dot."""
    old = {f"interlock.{name.replace('__', '.')}": value for name, value in labels.items()}
    return translate(
        Service(name="web", labels=own or {}, container_labels=old, ports=ports, exposed=exposed, networks=())
    )


def short(mapped: Mapped) -> dict[str, str]:
    found = {name.removeprefix("com.docker.lb."): value for name, value in mapped.labels.items()}
    found.pop("port", None)
    return found


def of_kind(mapped: Mapped, kind: str) -> list[str]:
    return [note.key.removeprefix("interlock.") for note in mapped.notes if note.kind == kind]


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ({"hostname": "www", "domain": "x.org"}, {"hosts": "www.x.org"}),
        ({"hostname": "x.org", "domain": "x.org"}, {"hosts": "x.org"}),
        ({"hostname": "", "domain": "x.org"}, {"hosts": "x.org"}),
        (
            {"hostname": "a", "domain": "x", "alias_domain": "b.x", "alias_domain__1": "c.x", "alias_domain2": "a.x"},
            {"hosts": "a.x,b.x,c.x"},
        ),
        ({"hosts": "a,b", "hosts__1": "c"}, {"hosts": "a,b,c"}),
        ({"network": "front"}, {"network": "front"}),
        ({"context_root": "/app"}, {"context_root": "/app"}),
        ({"context_root_rewrite": "true"}, {"context_root_rewrite": "true"}),
        ({"websocket_endpoint": "/ws", "websocket_endpoint__1": "/live"}, {"websocket_endpoints": "/ws,/live"}),
        ({"ip_hash": "true"}, {"ip_hash": "true"}),
        ({"ssl_only": "TRUE"}, {"ssl_only": "true"}),
        ({"ssl_backend": "true"}, {"ssl_backend": "true"}),
        ({"ssl_backend_tls_verify": "none"}, {"ssl_backend_tls_verify": "none"}),
    ],
)
def test_what_maps_whole(old: dict[str, str], today: dict[str, str]) -> None:
    mapped = run(**old)
    assert short(mapped) == today
    assert {note.kind for note in mapped.notes} == {"mapped"}


@pytest.mark.parametrize("name", ["ip_hash", "context_root_rewrite", "ssl_only", "ssl_backend"])
@pytest.mark.parametrize("value", ["false", "", "0"])
def test_a_flag_was_true_by_being_there(name: str, value: str) -> None:
    mapped = run(**{name: value})
    assert short(mapped) == {name: "true"}
    assert of_kind(mapped, "differs") == [name]


def test_a_port_is_the_labels_or_the_only_one_of_the_container() -> None:
    port = "com.docker.lb.port"
    assert run(port="8080").labels[port] == "8080"
    assert run(domain="x", hostname="").labels[port] == "80"
    assert run(domain="x", hostname="", ports=(), exposed=("9000",)).labels[port] == "9000"
    assert port not in run(domain="x", hostname="", ports=("80",), exposed=("9000",)).labels
    assert port not in run(domain="x", hostname="", ports=()).labels


def test_files_of_certificates_become_names_of_secrets() -> None:
    mapped = run(ssl="true", ssl_cert="certs/x.pem", ssl_cert_key="x.key")
    assert short(mapped) == {"ssl_cert": "x.pem", "ssl_key": "x.key"}
    assert of_kind(mapped, "differs") == ["ssl_cert", "ssl_cert_key"]
    assert any("docker secret create x.pem" in note.remedy for note in mapped.notes)
    assert of_kind(mapped, "mapped")[:1] == ["ssl"]
    assert not of_kind(mapped, "unmapped")


def test_a_host_without_hostname_is_what_v1_made_of_it() -> None:
    mapped = run(domain="x.org")
    assert short(mapped) == {"hosts": "unknown.x.org"}
    assert of_kind(mapped, "differs") == ["domain"]


def test_v1s_own_containers_are_no_applications() -> None:
    mapped = run(ext__name="nginx", app="interlock")
    assert not mapped.labels
    assert of_kind(mapped, "differs") == ["ext.name", "app"]
    assert not of_kind(mapped, "unmapped")


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("hostname", "together with interlock.domain", "com.docker.lb.hosts"),
        ("ssl", "certificate of its own configuration", "docker secret create"),
        ("context_root__1", "one context root", "service of its own"),
        ("balance_algorithm", "no other algorithm", "sticky_session_cookie"),
        ("backend_option", "HAProxy", "config.toml"),
        ("backend_option__3", "HAProxy", "config.toml"),
        ("health_check", "Swarm does", "healthcheck"),
        ("health_check_interval", "Swarm does", "interval"),
        ("colour", "no label of Interlock v1", "Remove it"),
    ],
)
def test_what_does_not_map_says_why_and_what_to_do(name: str, reason: str, remedy: str) -> None:
    mapped = run(**{name: "x"})
    (note,) = [note for note in mapped.notes if note.kind == "unmapped"]
    assert note.key == f"interlock.{name.replace('__', '.')}"
    assert reason in note.reason
    assert remedy in note.remedy


def test_labels_that_never_existed_and_labels_in_the_wrong_place() -> None:
    wrong = {"com.docker.interlock.hosts": "x"}
    never = translate(Service(name="web", labels={}, container_labels=wrong, ports=(), exposed=(), networks=()))
    assert [note.reason for note in never.notes] == ["was never read by any version of Interlock"]
    misplaced = run(own={"interlock.hostname": "x"}, domain="x", hostname="")
    assert of_kind(misplaced, "unmapped") == ["hostname"]
    assert short(misplaced) == {"hosts": "x"}
