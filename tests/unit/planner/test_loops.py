"""Redirect loops through several services: who is told, and that the plan is kept up to date on all of them."""

from __future__ import annotations

from interlock.model.problem import Problem
from interlock.model.swarm import Service
from interlock_planner.plan import ClusterPlan, scratch
from interlock_planner.stages.loops import loop_problem
from support.swarm_values import service


def redirecting(name: str, source: str, target: str, **more: str) -> Service:
    return service(name, hosts=source, redirects=f"http://{source},{target}", **more)


ONE = redirecting("one", "a.com", "http://b.com")
TWO = redirecting("two", "b.com", "http://a.com/x")


def told(plan: ClusterPlan) -> dict[str, tuple[str, ...]]:
    return {i: tuple(problem.reason for problem in problems) for i, problems in plan.plan.problems.items()}


def test_both_owners_are_told_and_both_redirects_are_in_force() -> None:
    plan = scratch([ONE, TWO])
    assert plan.problems[ONE.id] == (
        Problem(
            code="redirect-invalid",
            service="one",
            service_id=ONE.id,
            key="com.docker.lb.redirects",
            value="http://a.com,http://b.com",
            reason="is a redirect loop (a.com → b.com → a.com) with two",
            remedy="Remove one of these redirects",
            severity="warning",
            concerned=("two",),
        ),
    )
    assert [problem.concerned for problem in plan.problems[TWO.id]] == [("one",)]
    assert all(host.redirect for host in plan.hosts.values())


def test_a_loop_that_comes_and_goes_is_told_to_those_who_did_not_change() -> None:
    plan = ClusterPlan()
    plan.apply({ONE.id: ONE})
    assert told(plan) == {}
    delta = plan.apply({TWO.id: TWO})
    assert delta.problems.keys() == {ONE.id, TWO.id}
    delta = plan.apply({TWO.id: redirecting("two", "b.com", "https://a.com")})
    assert delta.problems == {ONE.id: None, TWO.id: None}
    plan.apply({TWO.id: TWO})
    delta = plan.apply({TWO.id: None})
    assert delta.problems == {ONE.id: None, TWO.id: None}


def test_three_services() -> None:
    ring = [redirecting(name, f"{name}.com", f"http://{after}.com") for name, after in ("xy", "yz", "zx")]
    leads_in = redirecting("w", "w.com", "http://x.com")
    plan = scratch([*ring, leads_in])
    assert plan.problems.keys() == {each.id for each in ring}
    assert plan.problems[ring[0].id][0].reason == "is a redirect loop (x.com → y.com → z.com → x.com) with y, z"


def test_only_whose_redirect_counts_is_told_of_the_loop() -> None:
    younger = redirecting("copy", "a.com", "http://b.com", created="2025-01-01T00:00:00Z")
    assert scratch([ONE, TWO, younger]).problems.keys() == {ONE.id, TWO.id}


def test_a_loop_of_services_of_one_name_names_no_other() -> None:
    """An old one and its successor, say."""
    both = [redirecting("same", f"{n}.com", f"http://{m}.com", service_id=n) for n, m in ("xy", "yx")]
    [problem] = scratch(both).problems["x"]
    assert (problem.reason, problem.concerned) == ("is a redirect loop (x.com → y.com → x.com)", ())


def test_a_host_that_is_not_planned_is_in_no_loop() -> None:
    assert loop_problem("a.com", ONE.id, {}) is None


def test_a_chain_that_ends_is_none() -> None:
    assert scratch([ONE, service("two", hosts="b.com")]).problems == {}
    assert scratch([ONE, redirecting("two", "b.com", "http://elsewhere.com")]).problems == {}
    assert scratch([redirecting(f"s{n}", f"h{n}.com", f"http://h{n + 1}.com") for n in range(60)]).problems == {}


def test_no_client_follows_a_loop_as_long_as_this() -> None:
    number = 20
    for size, problems in ((number, number), (number + 1, 0)):
        ring = [redirecting(f"s{n}", f"h{n}.com", f"http://h{(n + 1) % size}.com") for n in range(size)]
        assert len(scratch(ring).problems) == problems
