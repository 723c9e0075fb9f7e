"""Hosts: which requests reach which service, and what everybody else gets."""

from __future__ import annotations

import pytest

from support.pipeline import Pipeline

INFO_HEADERS = {"x-request-id", "x-proxy-id", "x-server-info", "x-upstream-addr", "x-upstream-response-time"}


def test_case_1_a_simple_app_answers_with_the_five_headers(pipeline: Pipeline) -> None:
    """Case 1: L{hosts, port} and no published port."""
    pipeline.service("demo", labels={"hosts": "demo.local"})
    answer = pipeline.wait_routed("demo.local", "/ping")
    assert answer.status == 200
    assert answer.headers.keys() >= INFO_HEADERS
    assert answer.json()["path"] == "/ping"
    assert not pipeline.sim.service("demo")["Endpoint"].get("Ports")


def test_case_3_an_unknown_host_gets_the_503_page_without_our_headers(pipeline: Pipeline) -> None:
    """Case 3, with another host served and with none."""
    pipeline.service("demo")
    pipeline.wait_routed("demo.test")
    for host in ("nobody.test", "demo.test.nobody", "xdemo.test", "127.0.0.1"):
        answer = pipeline.get(host, "/any/path?x=1")
        assert answer.status == 503
        assert "html" in answer.headers["content-type"]
        assert b"<html" in answer.body.lower()
        assert not [name for name in answer.headers if name.startswith("x-")]


def test_case_5_several_hosts_reach_the_same_tasks(pipeline: Pipeline) -> None:
    """Case 5, with the spaces, empty entries and capitals that people write."""
    pipeline.service("demo", labels={"hosts": " A.local , b.local,,C.Local. "})
    tasks = {pipeline.wait_routed(host).task for host in ("a.local", "b.local", "c.local")}
    assert len(tasks) == 1


def test_case_6_two_services_with_two_hosts_each(pipeline: Pipeline) -> None:
    """Case 6: the proxy starts and serves all four (a regression of Interlock 3.0.1)."""
    pipeline.service("one", labels={"hosts": "one-a.local,one-b.local"})
    pipeline.service("two", labels={"hosts": "two-a.local,two-b.local"})
    for service in ("one", "two"):
        for host in (f"{service}-a.local", f"{service}-b.local"):
            assert pipeline.wait_routed(host).headers["x-service"] == service


@pytest.mark.parametrize("spelling", ["SHOP.Test", "shop.test.", "shop.test:8080", "sHoP.tEST:80"])
def test_a_host_is_compared_without_case_port_and_final_dot(pipeline: Pipeline, spelling: str) -> None:
    pipeline.service("shop")
    pipeline.wait_routed("shop.test")
    assert pipeline.get(spelling).headers["x-service"] == "shop"


def test_a_wildcard_takes_the_names_below_it_and_an_exact_name_comes_first(pipeline: Pipeline) -> None:
    pipeline.service("wild", labels={"hosts": "*.apps.test"})
    pipeline.service("exact", labels={"hosts": "one.apps.test"})
    pipeline.wait_effective("wild", "exact")
    assert pipeline.get("two.apps.test").headers["x-service"] == "wild"
    assert pipeline.get("one.apps.test").headers["x-service"] == "exact"
    assert pipeline.get("deep.two.apps.test").headers["x-service"] == "wild"
    assert pipeline.get("apps.test").status == 503


def test_an_international_name_is_served_under_its_punycode(pipeline: Pipeline) -> None:
    pipeline.service("shop", labels={"hosts": "bücher.test"})
    assert pipeline.wait_routed("xn--bcher-kva.test").headers["x-service"] == "shop"
