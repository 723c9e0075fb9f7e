"""The plan of several services together: merging, order, conflicts, deltas, frames that cannot be read."""

from __future__ import annotations

import pytest

from interlock.model.names import upstream_name
from interlock.model.problem import Problem
from interlock.model.routing import DEFAULT_HOST, Plan, Route, Upstream
from interlock.model.swarm import Network, Service
from interlock.wire import codec
from interlock_planner.plan import ClusterPlan, scratch
from interlock_planner.stages.inherit import inherited
from support.swarm_values import LB, NET, service, task


def loaded(*services: Service) -> ClusterPlan:
    plan = ClusterPlan()
    plan.apply({s.id: s for s in services})
    return plan


def addresses(plan: Plan, host: str, path: str = "/") -> list[str]:
    return [e.address for e in plan.upstreams[upstream_name(host, path)].endpoints]


BLUE = service("blue", task("t1", "10.0.1.1"), task("t2", "10.0.1.2"), hosts="shop.com")
GREEN = service("green", task("t3", "10.0.1.3"), hosts="shop.com", created="2024-05-02T10:00:00Z")


def test_services_that_share_a_host_merge() -> None:
    plan = scratch([GREEN, BLUE])
    assert addresses(plan, "shop.com") == ["10.0.1.1", "10.0.1.2", "10.0.1.3"]
    (route,) = plan.hosts["shop.com"].routes
    assert route == Route(path="/", upstream=upstream_name("shop.com"), services=("blue", "green"))
    assert not plan.problems


def test_endpoints_are_sorted_by_service_and_task_whoever_is_older() -> None:
    old = service("z-old", task("t2", "10.0.1.2"), task("t1", "10.0.1.1"), hosts="a.com")
    young = service("a-young", task("t3", "10.0.1.3"), hosts="a.com", created="2024-06-01T10:00:00Z")
    assert addresses(scratch([old, young]), "a.com") == ["10.0.1.3", "10.0.1.1", "10.0.1.2"]


def test_paths_of_a_host_have_upstreams_of_their_own_longest_first() -> None:
    plan = scratch(
        [
            BLUE,
            service("api", task("t5", "10.0.1.5"), hosts="shop.com", context_root="/api"),
            service("v2", task("t6", "10.0.1.6"), hosts="shop.com", context_root="/api/v2"),
            service("app", task("t7", "10.0.1.7"), hosts="shop.com", context_root="/app"),
        ]
    )
    assert [r.path for r in plan.hosts["shop.com"].routes] == ["/api/v2", "/api", "/app", "/"]
    assert addresses(plan, "shop.com", "/api/v2") == ["10.0.1.6"]
    assert addresses(plan, "shop.com") == ["10.0.1.1", "10.0.1.2"]


def test_of_settings_that_conflict_the_older_service_counts() -> None:
    old = service(
        "z-old", hosts="a.com", context_root="/x", context_root_rewrite="true", created="2024-05-01T10:00:00.5Z"
    )
    young = service("a-young", hosts="a.com", context_root="/x", created="2024-05-01T10:00:00.51Z")
    plan = scratch([young, old])
    (route,) = plan.hosts["a.com"].routes
    assert route.rewrite
    assert list(plan.problems) == [young.id]
    (problem,) = plan.problems[young.id]
    assert (problem.severity, problem.key) == ("warning", LB + "context_root_rewrite")
    assert "z-old" in problem.reason
    assert "a.com/x" in problem.reason


def test_the_younger_one_leaving_takes_its_warning_along() -> None:
    old = service("old", hosts="a.com", context_root="/x", context_root_rewrite="true")
    young = service("young", hosts="a.com", context_root="/x", created="2024-06-01T10:00:00Z")
    plan = loaded(old, young)
    assert plan.problem_count == 1
    delta = plan.apply({old.id: None})
    assert delta.problems == {young.id: None}
    assert not plan.plan.hosts["a.com"].routes[0].rewrite


def default(name: str, created: str = "2024-05-01T10:00:00Z", **labels: str) -> Service:
    return service(name, created=created, default_backend="true", **labels)


@pytest.mark.parametrize(("older", "younger"), [("a.com", "b.com"), ("", "b.com"), ("a.com", "")])
def test_a_default_backend_is_told_of_an_older_one_with_which_it_shares_no_host(older: str, younger: str) -> None:
    one = default("one", hosts=older)
    two = default("two", "2025-01-01T00:00:00Z", hosts=younger)
    plan = scratch([two, one])
    assert plan.problems.keys() == {two.id}
    (problem,) = plan.problems[two.id]
    assert (problem.code, problem.severity, problem.concerned) == ("conflict", "warning", ("one",))
    assert problem.key == LB + "default_backend"
    assert problem.reason == (
        "the older service one, which has no host in common with it, is the default backend as well: "
        "requests for hosts of nobody go to the tasks of both"
    )


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        ({"hosts": "a.com"}, {"hosts": "a.com,canary.a.com"}),
        ({"hosts": ""}, {"hosts": ""}),
        ({"hosts": "a.com"}, {"hosts": "b.com", "context_root": "/b"}),
    ],
)
def test_a_default_backend_is_not_told_of_what_it_was_made_for(older: dict[str, str], younger: dict[str, str]) -> None:
    assert scratch([default("one", **older), default("two", "2025-01-01T00:00:00Z", **younger)]).problems == {}


def test_default_backends_merge_and_keep_their_hosts() -> None:
    plan = scratch(
        [
            service("one", task("t1", "10.0.1.1"), default_backend="true"),
            service("two", task("t2", "10.0.1.2"), default_backend="true", hosts="two.com"),
        ]
    )
    assert set(plan.hosts) == {DEFAULT_HOST, "two.com"}
    assert addresses(plan, DEFAULT_HOST) == ["10.0.1.1", "10.0.1.2"]
    assert addresses(plan, "two.com") == ["10.0.1.2"]


def test_a_host_without_endpoints_stays_in_the_plan() -> None:
    plan = loaded(GREEN)
    delta = plan.apply({GREEN.id: service("green", hosts="shop.com", created=GREEN.created)})
    assert not delta.hosts
    assert delta.upstreams == {upstream_name("shop.com"): Upstream(name=upstream_name("shop.com"))}
    assert "shop.com" in plan.plan.hosts


def test_the_last_service_of_a_host_takes_the_host_along() -> None:
    plan = loaded(GREEN)
    delta = plan.apply({GREEN.id: None})
    assert delta.hosts == {"shop.com": None}
    assert delta.upstreams == {upstream_name("shop.com"): None}
    assert plan.plan == Plan(hosts={}, upstreams={}, problems={})


def test_a_neighbour_with_a_bad_label_changes_nothing_for_others() -> None:
    plan = loaded(BLUE)
    before = plan.plan
    delta = plan.apply({"id-bad": service("bad", task("t9"), hosts="shop.com", port="http")})
    assert set(delta.problems) == {"id-bad"}
    assert not delta.hosts
    assert not delta.upstreams
    assert plan.plan.hosts == before.hosts


@pytest.mark.parametrize("mistake", [{"port": "http"}, {"network": "nowhere"}, {"backend_mode": "vips"}], ids=str)
def test_a_mistake_leaves_a_path_to_nobody_else(mistake: dict[str, str]) -> None:
    """Its requests would reach a neighbour that answers for the rest of the host."""
    site = service("site", task("t1"), hosts="shop.com")
    api = service("api", task("t2", "10.0.1.2"), hosts="shop.com", context_root="/api", **mistake)
    plan = scratch([site, api])
    assert addresses(plan, "shop.com", "/api") == []
    assert addresses(plan, "shop.com") == ["10.0.1.10"]
    # Beside somebody else of the same path it takes no part.
    twin = service("twin", task("t3", "10.0.1.3"), hosts="shop.com", context_root="/api")
    assert addresses(scratch([site, api, twin]), "shop.com", "/api") == ["10.0.1.3"]


def test_a_mistake_elsewhere_takes_no_redirect_away() -> None:
    to_new = {"hosts": "old.com,new.com", "redirects": "http://old.com,https://new.com"}
    plan = scratch(
        [service("shop", port="http", **to_new), service("late", created="2025-01-01T00:00:00Z", hosts="old.com")]
    )
    redirect = plan.hosts["old.com"].redirect
    assert redirect
    assert redirect.target == "https://new.com"
    assert addresses(plan, "new.com") == []


def test_one_mistake_hides_no_other() -> None:
    [found] = scratch([service("shop", hosts="a.com", port="http", network="nowhere")]).problems.values()
    assert {problem.code for problem in found} == {"port-invalid", "network-unknown"}
    other = Network(id="net2", name="shop_db")
    [found] = scratch([service("shop", hosts="a.com", port="http", networks=(NET, other))]).problems.values()
    assert {problem.code for problem in found} == {"port-invalid", "network-ambiguous"}
    # But what follows from a mistake is not told beside it.
    [found] = scratch([service("shop", hosts="a.com", backend_mode="vips", networks=(NET, other))]).problems.values()
    assert [problem.code for problem in found] == ["mode-invalid"]
    # A warning of such a label is no reason to be silent.
    [found] = scratch(
        [service("shop", hosts="a.com", port="http", backend_mode="vip", ip_hash="true", networks=())]
    ).problems.values()
    assert "network-none" in {problem.code for problem in found}


def test_what_is_not_relevant_makes_no_delta() -> None:
    plan = loaded(BLUE)
    again = Service(**{f: getattr(BLUE, f) for f in BLUE.__struct_fields__} | {"index": 99, "updating": True})
    assert not plan.apply({BLUE.id: again})
    assert plan.hosts_planned == 1
    assert not plan.apply({BLUE.id: again})
    assert plan.services_parsed == 2


def test_a_delta_has_only_what_differs() -> None:
    two = service("two", task("t1", "10.0.1.1"), hosts="a.com,b.com")
    plan = loaded(two)
    delta = plan.apply({two.id: service("two", task("t1", "10.0.1.1"), hosts="b.com,c.com")})
    assert delta.hosts.keys() == {"a.com", "c.com"}
    assert delta.upstreams.keys() == {upstream_name("a.com"), upstream_name("c.com")}
    assert plan.hosts_planned == 2 + 3


def test_the_same_services_give_the_same_bytes() -> None:
    services = [BLUE, GREEN, service("app", task("t7", "10.0.1.7"), hosts="shop.com,x.com", context_root="/app")]
    one, other = loaded(*services), ClusterPlan()
    for each in reversed(services):
        other.apply({each.id: each})
    assert codec.encode("plan", one.plan) == codec.encode("plan", other.plan) == codec.encode("plan", scratch(services))


def test_one_change_among_ten_thousand_costs_one_change() -> None:
    def numbered(n: int, address: str) -> Service:
        return service(f"s{n}", task(f"t{n}", address), hosts=f"h{n}.com,shared{n // 10}.com")

    plan = loaded(*(numbered(n, "10.0.1.1") for n in range(10_000)))
    assert (plan.services_parsed, plan.hosts_planned) == (10_000, 11_000)
    delta = plan.apply({"id-s4711": numbered(4711, "10.9.9.9")})
    assert (plan.services_parsed, plan.hosts_planned) == (10_001, 11_002)
    assert delta.hosts == {}
    assert delta.upstreams.keys() == {upstream_name("h4711.com"), upstream_name("shared471.com")}
    assert delta.problems == {}
    moved = service("s4711", task("t4711", "10.9.9.9"), hosts="elsewhere.com,shared0.com")
    delta = plan.apply({"id-s4711": moved})
    assert (plan.services_parsed, plan.hosts_planned) == (10_002, 11_006)
    assert delta.hosts.keys() == {"h4711.com", "shared471.com", "elsewhere.com", "shared0.com"}


class TestRefusedFrames:
    def test_what_was_read_last_stays_with_a_problem_until_the_next_good_frame(self) -> None:
        plan = loaded(BLUE, GREEN)
        before = plan.plan
        delta = plan.apply({}, refused={BLUE.id: "schema 9"})
        assert not delta.hosts
        assert not delta.upstreams
        (problem,) = plan.plan.problems[BLUE.id]
        assert (problem.service, problem.key, problem.severity) == ("blue", "frame", "warning")
        assert "schema 9" in problem.reason
        assert plan.plan.hosts == before.hosts
        assert plan.apply({BLUE.id: BLUE}).problems == {BLUE.id: None}
        assert plan.plan == before

    def test_a_service_never_read_is_an_error(self) -> None:
        plan = loaded(GREEN)
        plan.apply({}, refused={"new": "schema 9"})
        (problem,) = plan.plan.problems["new"]
        assert (problem.service, problem.severity) == ("new", "error")
        assert plan.apply({"new": None}).problems == {"new": None}

    def test_a_new_planner_keeps_what_the_plan_shows(self) -> None:
        app = service("app", task("t7", "10.0.1.7"), hosts="shop.com,_x.com", context_root="/a", default_backend="true")
        published = scratch([BLUE, GREEN, app])
        refused = {BLUE.id: "schema 9", app.id: "schema 9"}
        plan = ClusterPlan()
        plan.apply({GREEN.id: GREEN}, refused, inherited(published, refused))
        assert plan.plan.hosts == published.hosts
        assert plan.plan.upstreams == published.upstreams
        assert plan.plan.problems.keys() == refused.keys()
        plan.apply({BLUE.id: BLUE, app.id: app})
        assert plan.plan == published
        plan.apply({BLUE.id: None, app.id: None})
        assert plan.plan == scratch([GREEN])

    def test_removal_of_a_service_that_was_kept_but_never_read(self) -> None:
        plan = ClusterPlan()
        plan.apply({}, {BLUE.id: "x"}, inherited(scratch([BLUE]), {BLUE.id}))
        assert plan.plan.hosts.keys() == {"shop.com"}
        plan.apply({BLUE.id: None})
        assert plan.plan == scratch([])


@pytest.mark.parametrize("key", ["hosts", "port", "network", "context_root", "backend_mode"])
def test_no_text_in_any_label_raises(key: str) -> None:
    for text in ["", "\x00", "\ud800", "x" * 100_000, ",,,", "🚀.com", "../..", "%s{}$"]:
        scratch([service("s", task("t1"), **{"hosts": "a.com", key: text})])


def test_a_websocket_in_another_services_context_root_is_that_services() -> None:
    site = service("site", task("t1", "10.0.1.1"), hosts="a.com", websocket_endpoints="/app/ws,/ws,/app,/apple")
    app = service("app", task("t2", "10.0.1.2"), hosts="a.com", context_root="/app", created="2024-06-01T10:00:00Z")
    plan = scratch([site, app])
    assert {route.path: route.websockets for route in plan.hosts["a.com"].routes} == {
        "/app": (), "/": ("/apple", "/ws"),
    }  # fmt: skip
    assert plan.problems == {
        site.id: tuple(
            Problem(
                code="conflict",
                service="site",
                service_id=site.id,
                key=LB + "websocket_endpoints",
                value=path,
                reason="it lies in the context root /app of app at a.com, which answers there",
                remedy=f"Take it out of {LB}websocket_endpoints, or give that service another context root",
                severity="warning",
                concerned=("app",),
            )
            for path in ("/app", "/app/ws")
        )
    }


def test_a_service_whose_host_an_older_one_redirects_is_not_served_and_told_so() -> None:
    old = service("old", hosts="a.com,b.com", redirects="http://a.com,http://b.com")
    young = service("young", task("t2", "10.0.1.2"), hosts="a.com", created="2024-06-01T10:00:00Z")
    plan = scratch([old, young])
    assert plan.hosts["a.com"].routes == ()
    assert [(p.code, p.severity) for p in plan.problems[young.id]] == [("conflict", "error")]


def test_a_path_that_nobody_serves_hides_no_conflict_of_another_path() -> None:
    broken = service("broken", hosts="a.com", context_root="/x", port="none")
    old = service("old", hosts="a.com", created="2024-06-01T10:00:00Z")
    young = service("young", hosts="a.com", ip_hash="true", created="2024-07-01T10:00:00Z")
    assert [problem.code for problem in scratch([broken, old, young]).problems[young.id]] == ["conflict"]


def test_who_is_kept_from_being_routed_claims_its_hosts_all_the_same() -> None:
    default = service("default", task("t1", "10.0.1.1"), hosts="", default_backend="true")
    broken = service("broken", task("t2", "10.0.1.2"), hosts="a.com,b.com", port="none")
    good = service("good", task("t3", "10.0.1.3"), hosts="b.com", created="2024-06-01T10:00:00Z")
    plan = scratch([default, broken, good])
    assert addresses(plan, "a.com") == []
    assert addresses(plan, "b.com") == ["10.0.1.3"]
    assert plan.hosts["b.com"].routes[0].services == ("good",)
    assert good.id not in plan.problems
