"""What a planner keeps of long texts, and what it tells of itself."""

from __future__ import annotations

from interlock.model.swarm import Network
from interlock_planner.plan import ClusterPlan, scratch
from support.swarm_values import service, task


def test_a_conflict_shows_long_settings_in_part() -> None:
    mine, theirs = (",".join(f"/{name}{n:03}" for n in range(100)) for name in ("a", "b"))
    old = service("old", hosts="a.com", websocket_endpoints=theirs)
    young = service("young", hosts="a.com", websocket_endpoints=mine, created="2024-05-02T10:00:00Z")
    [problem] = scratch([old, young]).problems[young.id]
    assert len(theirs) > 300
    assert problem.value == mine[:200]
    # What is told of the older one is cut where the text would say for which host.
    assert problem.reason == f"the older service old has {theirs[:300]}, and that counts"


def test_a_problem_of_a_network_or_port_shows_a_long_label_in_part() -> None:
    [problem] = scratch([service("a", hosts="a.com", network="n" * 300)]).problems["id-a"]
    assert problem.value == "n" * 200
    alone = service(
        "b", task("t", None, node="192.0.2.1", published=1), networks=(), hosts="b.com", port="80" + " " * 300
    )
    plain = service(
        "c", networks=(Network(id="n", name="n"),), hosts="c.com", backend_mode="vip" + " " * 300, dnsrr=True
    )
    problems = scratch([alone, plain]).problems
    assert [len(problems[each.id][0].value) for each in (alone, plain)] == [200, 200]


def test_what_is_asked_of_one_service() -> None:
    good, bad = service("good", hosts="a.com"), service("bad", hosts="b.com", port="x")
    plan = ClusterPlan()
    plan.apply({good.id: good, bad.id: bad})
    assert (plan.service(good.id), plan.service(bad.id), plan.service("id-none")) == (good, bad, None)
    claim = plan.claim(good.id)
    assert claim is not None
    assert claim.hosts == ("a.com",)
    claim = plan.claim(bad.id)
    assert claim is not None
    assert (claim.hosts, claim.served) == (("b.com",), False)


def test_what_is_counted() -> None:
    one, two = service("one", hosts="a.com,b.com"), service("two", hosts="b.com", port="x")
    plan = ClusterPlan()
    assert (plan.services_parsed, plan.hosts_planned, plan.problem_count) == (0, 0, 0)
    plan.apply({one.id: one, two.id: two})
    assert (plan.services_parsed, plan.hosts_planned, plan.problem_count) == (2, 2, 1)
    plan.apply({one.id: one, two.id: None})
    assert (plan.services_parsed, plan.hosts_planned, plan.problem_count) == (2, 3, 0)
    plan.apply({one.id: None})
    assert (plan.services_parsed, plan.hosts_planned) == (2, 5)
    # Nothing is kept of who is gone.
    assert (plan.service(one.id), plan.service(two.id)) == (None, None)
