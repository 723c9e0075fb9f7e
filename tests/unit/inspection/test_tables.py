"""What people see: problems with their remedy, staleness, and what each proxy runs."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console, RenderableType

from interlock.inspection import tables
from interlock.inspection.view import ClusterView, ProxyView, RegionView, RouteView, StatusView
from interlock.model.outcome import Denied, HostRejection, Outcome
from interlock.model.problem import Problem
from interlock.model.region import WatcherStatus
from interlock.model.routing import Endpoint
from interlock.model.version import Version

VERSION = Version(generation="abcdefghi", seq=7, nonce="n")


def shown(what: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(what)
    return out.getvalue()


def status(**cluster: object) -> StatusView:
    view = {
        "region": "eu", "cluster": "", "version": VERSION, "complete": True, "services": 3, "hosts": 2, "upstreams": 2,
        "endpoints": 5, "draining": 1, "proxies": (), "problems": (), "stale": (),
    } | cluster  # fmt: skip
    watcher = WatcherStatus(owner="w1", at=100.0, api_version="1.44", services=3, poll_interval=3.0, last_listing=98.0)
    return StatusView(
        at=100.0,
        bus="unix:///x",
        regions=(RegionView(region="eu", watcher=watcher, silent_for=None),),
        clusters=(ClusterView(**view),),
    )


def test_the_interval_in_force_and_the_plan_version_are_shown() -> None:
    text = shown(tables.status_tables(status()))
    assert "3.0 s" in text
    assert "abcdef:7" in text
    assert "(unnamed)" in text


def test_a_problem_is_shown_with_its_key_value_and_remedy() -> None:
    problem = Problem(
        service="shop", service_id="s1", key="com.docker.lb.port", value="http", reason="not a port number",
        remedy="Give a number from 1 to 65535.",
    )  # fmt: skip
    text = shown(tables.status_tables(status(problems=(problem,))))
    assert "error  shop: com.docker.lb.port='http': not a port number. Give a number from 1 to 65535." in text
    assert "concerns" not in text


def test_a_problem_names_who_else_is_concerned() -> None:
    problem = Problem(
        service="shop", service_id="s1", key="nginx", value="", reason="refused", remedy="Mend it", code="refused",
        concerned=("api", "blog"),
    )  # fmt: skip
    assert "Mend it (concerns api, blog)" in shown(tables.status_tables(status(problems=(problem,))))


def test_a_proxy_says_what_it_runs_and_what_it_refused() -> None:
    outcome = Outcome(
        proxy="p1", extension="haproxy", version=VERSION, result="reloaded", reason="routes", drain_misses=2,
        rejections=(HostRejection(host="bad.example", reason="[emerg] no"),),
    )  # fmt: skip
    text = shown(tables.status_tables(status(proxies=(ProxyView(outcome=outcome, behind=False),))))
    assert "reloaded (routes)" in text
    assert "haproxy" in text
    assert "rejected  p1: bad.example: [emerg] no" in text


def test_a_proxy_says_whom_it_denies() -> None:
    outcome = Outcome(
        proxy="p1", extension="nginx", counters={"endpoints_denied": 3.0},
        denied=(Denied(service="shop", address="10.0.5.7:80", why="the address is blog's now"),),
    )  # fmt: skip
    text = shown(tables.status_tables(status(proxies=(ProxyView(outcome=outcome, behind=False),))))
    assert "denied  p1: service shop: 10.0.5.7:80 gets no requests: the address is blog's now" in text
    assert "denied  p1: 2 more" in text


def test_staleness_of_docker_is_said() -> None:
    view = status()
    watcher = WatcherStatus(owner="w", at=100.0, stale_since=40.0, reason="connection refused")
    text = shown(
        tables.status_tables(
            StatusView(at=100.0, bus="b", regions=(RegionView(region="eu", watcher=watcher, silent_for=None),),
                       clusters=view.clusters)
        )
    )  # fmt: skip
    assert "eu: Docker, since 60 s: connection refused; nothing is withdrawn" in text


def test_an_empty_installation_says_what_to_do() -> None:
    assert "label a service" in shown(tables.status_tables(StatusView(at=0, bus="b", regions=(), clusters=())))
    assert "No routes" in shown(tables.routes_table(()))


def test_routes_show_endpoints_draining_ones_and_hosts_without_any() -> None:
    endpoint = Endpoint(address="10.0.0.1", port=80, task="t", service_id="s", service="shop", draining_since=1.0)
    base = {"region": "eu", "cluster": "web", "rewrite": True, "upstream": "u", "services": ("shop",)}
    text = shown(
        tables.routes_table(
            [RouteView(host="a.example", path="/app", endpoints=(endpoint,), **base),
             RouteView(host="_", path="/", endpoints=(), **base)]
        )
    )  # fmt: skip
    assert "10.0.0.1:80 draining" in text
    assert "/app → /" in text
    assert "(any other)" in text
    assert "none: answers 503" in text


def watching(**facts: object) -> str:
    view = status()
    watcher = msgspec.structs.replace(view.regions[0].watcher, **facts)
    region = RegionView(region="eu", watcher=watcher, silent_for=None)
    return shown(tables.status_tables(msgspec.structs.replace(view, regions=(region,))))


def test_what_is_held_back_is_said() -> None:
    text = watching(held_since=98.0, held="4 of 5 services are missing at once")
    assert "held back, since 2" in text
    assert "4 of 5 services are missing at once; nothing is withdrawn until a second reading says so" in text


def test_a_clock_that_jumped_is_told_for_a_while() -> None:
    assert "clock  eu: of watcher w1 jumped by -3600.0 s" in watching(clock_jumped_at=90.0, clock_jumped_by=-3600.0)
    assert "jumped" not in watching(clock_jumped_at=-900.0, clock_jumped_by=-3600.0)


def test_a_status_is_dated_by_another_clock() -> None:
    told = WatcherStatus(owner="w", at=100.0, last_listing=98.0, held_since=99.0, listing_seconds=2.0).dated(5000.0)
    assert (told.at, told.last_listing, told.held_since, told.stale_since) == (5000.0, 4998.0, 4999.0, None)
    assert told.listing_seconds == 2.0
