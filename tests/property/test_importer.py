"""The importer's laws, for stack files of any layout: it only adds, only what it says, and only once."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock_importer.importing import import_stack
from interlock_importer.report import Dialect

LB = "com.docker.lb."
_WORDS = st.sampled_from(
    ["x.example", "HTTP://Shop.example/", "a, b", "${HOST}", "8080", "true", "ü.example", "", "no", "a: b #c"]
)
_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
_VALUES = st.one_of(_WORDS, _ANY)
_HRM = st.one_of(
    st.builds("external_route={}://{},internal_port={}".format, st.sampled_from(["http", "sni"]), _VALUES, _VALUES),
    st.builds("external_route=http://{}.example,redirect=https://{}".format, _WORDS, _VALUES),
    st.builds("{}=http://{}".format, st.integers(0, 70_000), _VALUES),
    st.builds("external_route=http://,sticky_sessions={},include_forwarded_for=true".format, _VALUES),
    _VALUES,
)
_V1 = st.sampled_from(
    [
        "hostname",
        "domain",
        "alias_domain",
        "alias_domain.1",
        "port",
        "network",
        "context_root",
        "context_root.1",
        "context_root_rewrite",
        "ssl",
        "websocket_endpoint.0",
        "ssl_only",
        "ssl_cert",
        "ssl_cert_key",
        "ssl_backend",
        "ssl_backend_tls_verify",
        "ip_hash",
        "balance_algorithm",
        "backend_option.0",
        "health_check",
        "ext.name",
        "hosts.1",
        "odd",
    ]
)
_TODAY = st.sampled_from([f"{LB}hosts", f"{LB}port", f"{LB}ip_hash", f"{LB}odd"])


def _labels(dialect: Dialect) -> st.SearchStrategy[dict[str, str] | list[str] | None]:
    keys = {
        "hrm": st.dictionaries(
            st.sampled_from(["", ".1", ".2", ".web-80"]).map("com.docker.ucp.mesh.http{}".format), _HRM, min_size=1
        ),
        "v1": st.dictionaries(_V1.map("interlock.{}".format), _VALUES, min_size=1),
    }[dialect]
    others = st.dictionaries(st.one_of(_TODAY, st.just("traefik.enable")), _VALUES, max_size=2)
    return st.builds(lambda a, b: a | b, keys, others).flatmap(
        lambda labels: st.sampled_from([labels, [f"{k}={v}" for k, v in labels.items()], None])
    )


@st.composite
def stacks(draw: st.DrawFn) -> tuple[Dialect, dict[str, Any]]:
    """A dialect and a stack file's content, with what the importer must leave alone."""
    dialect: Dialect = draw(st.sampled_from(["hrm", "v1"]))
    services: dict[str, Any] = {}
    # What two services share is written once, with an anchor.
    shared = {"labels": draw(_labels(dialect))}
    for name in draw(st.lists(st.sampled_from(["web", "db", "a b", "x-1", "80"]), min_size=1, max_size=3, unique=True)):
        service: dict[str, Any] = {"image": draw(_VALUES)}
        if draw(st.booleans()):
            service["ports"] = draw(
                st.lists(st.sampled_from(["80", "8080:80", 443, "1-2:3-4", {"target": 80}, "5/udp"]))
            )
        if draw(st.booleans()):
            service["networks"] = draw(st.sampled_from([["ucp-hrm", "back"], {"front": None}, ["a", "b"], []]))
        if draw(st.booleans()):
            service["labels"] = draw(_labels(dialect))
        if draw(st.booleans()):
            service["deploy"] = draw(
                st.one_of(
                    st.none(),
                    st.just({"replicas": 2}),
                    st.just(shared),
                    st.just({"labels": shared["labels"]}),
                    st.builds(lambda labels: {"labels": labels, "mode": "global"}, _labels(dialect)),
                    st.builds(lambda labels: {"labels": labels}, _labels(dialect)),
                )
            )
        order = draw(st.permutations(list(service)))
        services[name] = {key: service[key] for key in order}
    networks = {"front": {"external": True}, "back": None, "mesh": {"labels": ["com.docker.ucp.mesh.http=1"]}}
    return dialect, {"services": services, "version": "3.8", "networks": networks, "x-more": draw(_VALUES)}


@st.composite
def texts(draw: st.DrawFn) -> tuple[Dialect, str]:
    """The same as text, in one of the layouts that there are, with comments between the lines and after the end."""
    dialect, content = draw(stacks())
    text: str = yaml.safe_dump(
        content,
        sort_keys=False,
        allow_unicode=draw(st.booleans()),
        default_flow_style=draw(st.sampled_from([None, False, False, True])),
        default_style=draw(st.sampled_from([None, None, '"', "|"])),
        indent=draw(st.sampled_from([2, 4])),
        width=draw(st.sampled_from([20, 80, 10_000])),
    )
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    if draw(st.booleans()):
        text += "\n# the end"
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return dialect, text


@settings(max_examples=200, deadline=None)
@given(texts())
def test_only_labels_of_today_are_added_and_only_once(case: tuple[Dialect, str]) -> None:
    dialect, text = case
    before = yaml.safe_load(text)
    imported = import_stack(text, dialect)
    after = yaml.safe_load(imported.text)
    for service in imported.report.services:
        assert all(name.startswith(LB) for name in service.added)
        _add(before["services"][service.service], {name: service.labels[name] for name in service.added})
    assert after == before
    again = import_stack(imported.text, dialect)
    assert again.text == imported.text
    assert not any(service.added for service in again.report.services)
    if "null" not in text:
        left = iter(imported.text)
        assert all(letter in left for letter in text)


def _add(service: dict[str, Any], labels: dict[str, str]) -> None:
    if not labels:
        return
    if service.get("deploy") is None:
        service["deploy"] = {}
    place = service["deploy"].get("labels")
    if isinstance(place, list):
        place += [f"{name}={value}" for name, value in labels.items()]
    else:
        service["deploy"]["labels"] = {**(place or {}), **labels}
