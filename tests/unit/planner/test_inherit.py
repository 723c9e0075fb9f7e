"""Claims read back from a plan: what a planner goes by that cannot read the services which another one could."""

from __future__ import annotations

import msgspec

from interlock.model.problem import Problem
from interlock.model.routing import Endpoint, PassiveChecks, Plan, Route, VirtualHost
from interlock_planner.plan import ClusterPlan, scratch
from interlock_planner.stages.claims import Claim
from interlock_planner.stages.inherit import inherited
from support.swarm_values import service, task

SHOP = service(
    "shop",
    task("t1", "10.0.1.1"),
    task("t2", "10.0.1.2"),
    hosts="a.com,b.com,old.com,older.com",
    websocket_endpoints="/ws",
    sticky_session_cookie="session",
    max_fails="3",
    redirects="http://old.com,http://a.com;http://older.com,http://b.com",
)
BESIDE = service(
    "beside",
    task("t3", "10.0.1.3"),
    created="2024-05-02T10:00:00Z",
    hosts="a.com",
    websocket_endpoints="/ws",
    sticky_session_cookie="session",
    max_fails="7",
)
MOVED = service(
    "moved",
    task("t4", "10.0.1.4"),
    hosts="gone.com,left.com",
    redirects="http://gone.com,http://a.com;http://left.com,http://b.com",
)
EVERYONE = [SHOP, BESIDE, MOVED]


def endpoint(task_id: str, address: str, name: str) -> Endpoint:
    return Endpoint(address=address, port=8080, task=task_id, service_id=f"id-{name}", service=name, network="web")


def test_a_claim_is_all_that_the_plan_shows_of_a_service() -> None:
    asked = Route(upstream="", websockets=("/ws",), sticky_cookie="session")
    assert inherited(scratch(EVERYONE), {"id-shop", "id-beside"}) == {
        "id-shop": Claim(
            service_id="id-shop",
            service="shop",
            age=("", "", "id-shop"),
            hosts=("a.com", "b.com", "old.com", "older.com"),
            policy=msgspec.structs.replace(asked, passive={"id-shop": PassiveChecks(max_fails=3)}),
            redirects={"old.com": "http://a.com", "older.com": "http://b.com"},
            endpoints=(endpoint("t1", "10.0.1.1", "shop"), endpoint("t2", "10.0.1.2", "shop")),
        ),
        "id-beside": Claim(
            service_id="id-beside",
            service="beside",
            age=("", "", "id-beside"),
            hosts=("a.com",),
            policy=msgspec.structs.replace(asked, passive={"id-beside": PassiveChecks(max_fails=7)}),
            endpoints=(endpoint("t3", "10.0.1.3", "beside"),),
        ),
    }


def test_a_service_whose_hosts_are_all_redirected_is_known_by_its_redirects() -> None:
    assert inherited(scratch(EVERYONE), {"id-moved"}) == {
        "id-moved": Claim(
            service_id="id-moved",
            service="moved",
            age=("", "", "id-moved"),
            hosts=("gone.com", "left.com"),
            policy=Route(upstream=""),
            redirects={"gone.com": "http://a.com", "left.com": "http://b.com"},
            endpoints=(),
        )
    }


def test_a_planner_that_can_read_nobody_keeps_everything_in_force() -> None:
    published = scratch(EVERYONE)
    refused = {each.id: "unreadable" for each in EVERYONE}
    plan = ClusterPlan()
    plan.apply({}, refused, inherited(published, refused))
    assert plan.plan.hosts.keys() == published.hosts.keys()
    assert plan.plan.upstreams == published.upstreams
    for host, virtual_host in published.hosts.items():
        kept = plan.plan.hosts[host]
        assert kept.redirect == virtual_host.redirect
        assert [(route.path, route.passive, set(route.services)) for route in kept.routes] == [
            (route.path, route.passive, set(route.services)) for route in virtual_host.routes
        ]


def test_a_route_without_its_upstream_shows_nobody() -> None:
    plan = Plan(hosts={"a.com": VirtualHost(host="a.com", routes=(Route(upstream="lost"),))})
    assert inherited(plan, {"id-shop"}) == {}


def test_others_are_left_out() -> None:
    assert inherited(scratch(EVERYONE), {"id-none"}) == {}


def test_what_is_told_of_a_service_that_cannot_be_read() -> None:
    plan = ClusterPlan()
    plan.apply({SHOP.id: SHOP})
    kept = inherited(scratch(EVERYONE), {MOVED.id})
    plan.apply({}, {SHOP.id: "schema 9", MOVED.id: "schema 9", "id-unknown": "schema 9"}, kept)
    told = {service_id: problem for service_id, (problem,) in plan.plan.problems.items()}
    assert told == {
        service_id: Problem(
            code="unreadable",
            service=name,
            service_id=service_id,
            key="frame",
            value="",
            reason="its state on the bus cannot be read, so what was read last is in force: schema 9",
            remedy="Bring watcher and planner to versions within one schema of each other",
            severity=severity,
        )
        for service_id, name, severity in [
            ("id-shop", "shop", "warning"),
            ("id-moved", "moved", "warning"),
            ("id-unknown", "id-unknown", "error"),
        ]
    }


def test_a_service_that_claims_nothing_is_told_by_its_name_too() -> None:
    idle = service("idle", port="x")
    plan = ClusterPlan()
    plan.apply({idle.id: idle})
    assert plan.claim(idle.id) is None
    plan.apply({}, {idle.id: "schema 9"})
    [told] = [problem for problem in plan.plan.problems[idle.id] if problem.code == "unreadable"]
    assert (told.service, told.severity) == ("idle", "error")
