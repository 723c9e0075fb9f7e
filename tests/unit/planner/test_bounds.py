"""What a planner keeps of long texts, and what it tells of itself."""

from __future__ import annotations

from interlock.model.held import Held
from interlock.model.swarm import Network
from interlock.wire.fields import policy_digest
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


def test_a_websocket_that_is_taken_is_shown_in_part() -> None:
    path = "/app/" + "w" * 300
    site = service("site", hosts="a.com", websocket_endpoints=path)
    [problem] = scratch([site, service("app", hosts="a.com", context_root="/app")]).problems[site.id]
    assert problem.value == path[:200]


def test_an_older_default_backend_of_a_long_name_is_shown_in_part() -> None:
    old = service("o" * 400, default_backend="true", hosts="a.com")
    young = service("young", default_backend="true", hosts="b.com", created="2024-05-02T10:00:00Z")
    [problem] = scratch([old, young]).problems[young.id]
    shown = f"the older service {'o' * 400}"[:300]
    assert (
        problem.reason
        == f"{shown} is the default backend as well: requests for hosts of nobody go to the tasks of both"
    )


def test_a_redirect_loop_is_shown_in_part() -> None:
    path = "/" + "p" * 300
    names = ["first", *(f"{n:02}{'s' * 60}" for n in range(12))]
    ring = [
        service(name, hosts=f"h{n}.com", redirects=f"http://h{n}.com,http://h{(n + 1) % len(names)}.com{path}")
        for n, name in enumerate(names)
    ]
    [problem] = scratch(ring).problems["id-first"]
    assert problem.value == f"http://h0.com,http://h1.com{path}"[:200]
    loop = "h0.com → h1.com → h2.com → h3.com → … → h0.com"
    assert problem.reason == f"is a redirect loop ({loop}) with {', '.join(names[1:])}"[:400]


def test_a_refusal_is_shown_in_part() -> None:
    before, now = "/" + "b" * 300, "/" + "n" * 300
    old, new = service("shop", hosts="a.com", context_root=before), service("shop", hosts="a.com", context_root=now)
    accepted, wanted = (scratch([each]).hosts["a.com"] for each in (old, new))
    record = Held(policy=accepted, refused=policy_digest(wanted), reason="r" * 500, proxies=("p1",))
    [problem] = scratch([new], {"a.com": record}).problems[new.id]
    assert problem.value == now[:200]
    said = "its last accepted configuration is held, with the endpoints of now"
    assert problem.reason == f"p1 refused a.com: {'r' * 400}; {said}"


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
