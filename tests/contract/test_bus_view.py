"""What `interlock status` and `routes` read from a real bus."""

from __future__ import annotations

import json

import msgspec
from click.testing import CliRunner

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.bus.outcomes import Outcomes
from interlock.bus.registry import Registry
from interlock.bus.state import StateWriter
from interlock.cli import main
from interlock.inspection import view
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome, Unreachable
from interlock.model.problem import Problem
from interlock.model.region import WatcherStatus
from interlock.model.routing import Endpoint, HostRedirect, Plan, Route, Upstream, VirtualHost
from interlock.model.swarm import Service
from interlock.model.version import Token
from interlock.wire import codec
from interlock.wire.fields import plan_fields, service_bytes
from interlock.wire.trail import Trail

WEB = Cluster("eu", "web")
TOKEN = Token(epoch=1, nonce="t")
PROBLEM = Problem(
    service="bad", service_id="s2", key="com.docker.lb.port", value="x", reason="no port", remedy="Give one"
)
PLAN = Plan(
    hosts={"a.example": VirtualHost(host="a.example", routes=(Route(upstream="u", services=("shop",)),))},
    upstreams={
        "u": Upstream(
            name="u",
            endpoints=(
                Endpoint(address="10.0.0.1", port=80, task="t1", service_id="s1", service="shop"),
                Endpoint(address="10.0.0.2", port=80, task="t2", service_id="s1", service="shop", draining_since=1.0),
            ),
        )
    },
    problems={"s2": (PROBLEM,)},
)


def installed(bus: Bus) -> StateWriter:
    Registry(bus).register(WEB)
    services = StateWriter(bus, keys.services(WEB))
    services.replace({"s1": service_bytes(Service(id="s1", name="shop", created=""))}, token=TOKEN, trail=Trail())
    plan = StateWriter(bus, keys.plan(WEB))
    plan.replace(plan_fields(PLAN), token=TOKEN, trail=Trail(), origin=services.version)
    return plan


def test_everything_in_one_view(bus: Bus) -> None:
    plan = installed(bus)
    Outcomes(bus).publish(WEB, Outcome(proxy="p1", extension="nginx", version=plan.version))
    status = WatcherStatus(owner="w1", at=bus.server_time(), poll_interval=3.0)
    RegionEnv(bus, "eu").write({view.WATCHER: codec.encode("watcher", status)}, TOKEN)
    found = view.status(bus)
    [cluster] = found.clusters
    assert (cluster.services, cluster.hosts, cluster.endpoints, cluster.draining) == (1, 1, 1, 1)
    assert cluster.problems == (PROBLEM,)
    assert cluster.stale == ()
    assert [p.behind for p in cluster.proxies] == [False]
    assert found.regions[0].watcher == status
    assert found.regions[0].silent_for is None


def test_a_proxy_that_runs_another_version_is_behind(bus: Bus) -> None:
    plan = installed(bus)
    Outcomes(bus).publish(WEB, Outcome(proxy="p1", extension="nginx", version=plan.version, stale_since=1.0))
    plan.write({"host:a.example": None}, token=TOKEN, trail=Trail())
    [cluster] = view.status(bus).clusters
    assert cluster.proxies[0].behind
    assert any("p1 has served without news" in text for text in cluster.stale)


def test_what_a_proxy_cannot_reach_is_a_problem_of_the_service(bus: Bus) -> None:
    plan = installed(bus)
    outside = Unreachable(service="shop", service_id="s1", address="10.0.0.1", network="back")
    Outcomes(bus).publish(WEB, Outcome(proxy="p1", extension="nginx", version=plan.version, unreachable=(outside,)))
    [cluster] = view.status(bus).clusters
    [told] = [problem for problem in cluster.problems if problem != PROBLEM]
    assert (told.code, told.service, told.service_id, told.value) == ("network-unreachable", "shop", "s1", "back")
    assert "p1" in told.reason
    assert "docker service update --network-add back <proxy service>" in told.remedy


def test_where_a_host_is_sent_is_shown_with_the_routes(bus: Bus) -> None:
    plan = installed(bus)
    redirect = HostRedirect(target="https://b.example", service="shop", service_id="s1")
    sent = Plan(hosts={"a.example": VirtualHost(host="a.example", redirect=redirect)})
    plan.replace(plan_fields(sent), token=TOKEN, trail=Trail())
    [route] = view.routes(bus)
    assert (route.host, route.services, route.redirect) == ("a.example", ("shop",), "https://b.example")


def test_a_plan_that_is_older_than_its_services_is_stale(bus: Bus) -> None:
    installed(bus)
    services = StateWriter(bus, keys.services(WEB))
    services.write({"s1": None}, token=TOKEN, trail=Trail())
    [cluster] = view.status(bus).clusters
    assert any("planner has to catch up" in text for text in cluster.stale)


def test_what_is_missing_is_said_and_not_shown_as_empty(bus: Bus) -> None:
    Registry(bus).register(WEB)
    found = view.status(bus)
    assert found.regions[0].watcher is None
    assert len(found.clusters[0].stale) == 2


def test_a_watcher_that_is_silent_is_said(bus: Bus) -> None:
    installed(bus)
    status = WatcherStatus(owner="w1", at=bus.server_time() - 60)
    RegionEnv(bus, "eu").write({view.WATCHER: codec.encode("watcher", status)}, TOKEN)
    assert view.status(bus).regions[0].silent_for > 59


def test_routes_with_their_endpoints(bus: Bus) -> None:
    installed(bus)
    [route] = view.routes(bus)
    assert (route.host, route.path, route.services) == ("a.example", "/", ("shop",))
    assert [e.address for e in route.endpoints] == ["10.0.0.1", "10.0.0.2"]
    assert view.routes(bus, cluster="other") == ()


def test_the_command_prints_tables_and_json(bus: Bus) -> None:
    installed(bus)
    run = CliRunner().invoke
    shown = run(main, ["status", "--bus", bus.url])
    assert shown.exit_code == 0, shown.output
    assert "bad: com.docker.lb.port='x': no port. Give one" in shown.output.replace("\n", "")
    printed = run(main, ["status", "--bus", bus.url, "--json"])
    value = json.loads(printed.output)
    assert value == json.loads(msgspec.json.encode(view.status(bus))) | {"at": value["at"]}
    assert json.loads(run(main, ["routes", "--bus", bus.url, "--json"]).output)[0]["host"] == "a.example"


def test_the_command_says_that_the_bus_is_away() -> None:
    failed = CliRunner().invoke(main, ["status", "--bus", "unix:///nonexistent/bus.sock"])
    assert failed.exit_code == 2
    assert "cannot be asked" in failed.output


def test_the_command_shows_one_region_when_it_is_named(bus: Bus) -> None:
    installed(bus)
    Registry(bus).register(Cluster("us", "west"))
    both = json.loads(CliRunner().invoke(main, ["status", "--bus", bus.url, "--json"]).output)
    one = json.loads(CliRunner().invoke(main, ["status", "--bus", bus.url, "--json", "--region", "us"]).output)
    assert [c["region"] for c in both["clusters"]] == ["eu", "us"]
    assert [c["region"] for c in one["clusters"]] == ["us"]
    assert json.loads(CliRunner().invoke(main, ["routes", "--bus", bus.url, "--json", "--region", "us"]).output) == []
