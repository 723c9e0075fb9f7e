"""The worker's copy of the plan: what a change touches, and what is served of it."""

from __future__ import annotations

from interlock.model.routing import DEFAULT_HOST, VIP, Plan, PlanDelta, Upstream
from interlock_extension.admission import key_of
from interlock_extension.desired import Desired
from interlock_extension.port import HostView
from support.nginx_lab import endpoint, upstream, virtual_host


def desired(*names: str) -> Desired:
    """Hosts with one admitted endpoint each."""
    made = Desired()
    plan = Plan(
        hosts={name: virtual_host(name) for name in names},
        upstreams={u.name: u for u in (upstream(name, (endpoint(80, f"task-{name}"),)) for name in names)},
    )
    for key in made.replace(plan.hosts, plan.upstreams).fresh:
        made.accept(key)
    return made


def serve(made: Desired, host: str) -> HostView:
    found = made.view(host)
    assert found is not None
    made.served[host] = found
    return found


def test_a_change_touches_only_the_hosts_that_use_it() -> None:
    made = desired("a", "b", "c")
    touched = made.change(PlanDelta(upstreams=_one(upstream("b", (endpoint(80, "task-b"), endpoint(81, "new"))))))
    assert touched.hosts == {"b"}
    assert {key.task for key in touched.fresh} == {"new"}
    assert made.waiting == 1
    [key] = touched.fresh
    assert made.accept(key) == {"b"}
    assert made.waiting == 0


def test_a_replacement_touches_only_what_differs() -> None:
    made = desired("a", "b", "c")
    hosts = {name: virtual_host(name) for name in ("a", "b")}
    upstreams = {name: value for name, value in made.upstreams.items() if not name.startswith("c")}
    touched = made.replace(hosts, upstreams)
    assert touched.hosts == {"c"}
    assert {key.task for key in touched.gone} == {"task-c"}
    assert touched.fresh == frozenset()


def endpoints(view: HostView | None) -> list[str]:
    """Tasks that are served; a host that is claimed has a view also while there is none."""
    assert view is not None
    return [e.task for u in view.upstreams for e in u.endpoints]


def test_an_endpoint_that_left_must_be_admitted_anew() -> None:
    made = desired("a")
    [name] = made.upstreams
    before = made.upstreams[name]
    made.change(PlanDelta(upstreams={name: None}))
    assert endpoints(made.view("a")) == []
    assert made.change(PlanDelta(upstreams={name: before})).fresh == {key_of(before.endpoints[0])}
    assert endpoints(made.view("a")) == []


def test_a_virtual_ip_that_was_about_to_go_must_be_admitted_anew() -> None:
    """Behind it are other tasks by now, which run and may not listen; while one was wanted, it stays admitted."""
    made = Desired()
    virtual = [endpoint(80, VIP, draining=since) for since in (None, 5.0)]
    wanted, leaving = (upstream("a", (one,)) for one in virtual)
    key = key_of(virtual[0])
    assert made.change(PlanDelta(hosts={"a": virtual_host("a")}, upstreams=_one(wanted))).fresh == {key}
    made.accept(key)
    assert made.change(PlanDelta(upstreams=_one(wanted))).fresh == frozenset()
    assert endpoints(made.view("a")) == [VIP]
    touched = made.change(PlanDelta(upstreams=_one(leaving)))
    assert (touched.fresh, touched.gone, made.waiting) == (frozenset(), frozenset(), 0)
    assert endpoints(made.view("a")) == []
    touched = made.change(PlanDelta(upstreams=_one(wanted)))
    assert (touched.fresh, touched.gone, made.waiting) == ({key}, frozenset(), 1)
    assert endpoints(made.view("a")) == []
    assert made.accept(key) == {"a"}
    assert (endpoints(made.view("a")), made.waiting) == ([VIP], 0)


def test_an_endpoint_that_changes_its_place_stays_admitted() -> None:
    made = desired("a")
    [old] = made.upstreams.values()
    moved = Upstream(name="other", endpoints=old.endpoints)
    touched = made.change(PlanDelta(upstreams={old.name: None, "other": moved}))
    assert touched.gone == frozenset()
    assert made.accepted == {key_of(old.endpoints[0])}


def test_a_refused_policy_keeps_the_last_accepted_one_but_follows_live_tasks() -> None:
    made = desired("a")
    serve(made, "a")
    # The new policy has another path, so its upstream has another name.
    path = upstream("a", (endpoint(80, "task-a"), endpoint(81, "new")), "/app")
    [old] = made.upstreams
    made.change(PlanDelta(hosts={"a": virtual_host("a", "/app")}, upstreams={old: None, path.name: path}))
    made.refuse("a", "no")
    held = made.view("a")
    assert held is not None
    assert [route.path for route in held.host.routes] == ["/"]
    assert [e.task for u in held.upstreams for e in u.endpoints] == ["task-a"]
    # Its task goes: the address may be another's by now, so it is not kept.
    made.change(PlanDelta(upstreams={path.name: upstream("a", (endpoint(81, "new"),), "/app")}))
    assert endpoints(made.view("a")) == []


def test_a_refused_policy_without_a_past_keeps_its_host_claimed() -> None:
    made = desired("a")
    made.refuse("a", "no")
    view = made.view("a")
    assert view is not None
    assert [(route.path, view.usable) for route in view.host.routes] == [("/", False)]
    # The catch-all answers 503 by itself.
    made = desired(DEFAULT_HOST)
    made.refuse(DEFAULT_HOST, "no")
    assert made.view(DEFAULT_HOST) is None


def test_a_refused_policy_is_tried_again_only_when_it_changes() -> None:
    made = desired("a")
    serve(made, "a")
    made.refuse("a", "no")
    made.change(PlanDelta(hosts={"a": virtual_host("a")}))
    assert "a" in made.refused
    made.change(PlanDelta(hosts={"a": virtual_host("a", "/x")}))
    assert "a" not in made.refused


def test_what_a_change_lets_go() -> None:
    made = desired("a", "b")
    for host in ("a", "b"):
        serve(made, host)
    assert made.lets_go({"a", "b"}) == "nothing"
    [key] = made.change(PlanDelta(upstreams=_one(upstream("a", (endpoint(80, "task-a"), endpoint(81, "new")))))).fresh
    assert made.lets_go({"a", "b"}) == "nothing"
    made.change(PlanDelta(upstreams=_one(upstream("a", (endpoint(81, "new"),)))))
    # Nobody is left until the new one accepts.
    assert made.lets_go({"a", "b"}) == "all"
    made.accept(key)
    assert made.lets_go({"a", "b"}) == "some"
    assert made.lets_go({"b"}) == "nothing"


def test_what_is_served_can_be_reduced_to_what_lives() -> None:
    made = desired("a")
    [key] = made.change(PlanDelta(upstreams=_one(upstream("a", (endpoint(80, "task-a"), endpoint(81, "two")))))).fresh
    made.accept(key)
    serve(made, "a")
    [key] = made.change(PlanDelta(upstreams=_one(upstream("a", (endpoint(81, "two"), endpoint(82, "three")))))).fresh
    made.accept(key)
    found = made.reduced("a")
    assert found is not None
    assert [e.task for u in found.upstreams for e in u.endpoints] == ["two"]
    made.change(PlanDelta(upstreams=_one(upstream("a", (endpoint(82, "three"),)))))
    assert endpoints(made.reduced("a")) == []


def _one(value: Upstream) -> dict[str, Upstream | None]:
    return {value.name: value}


def test_a_denied_endpoint_is_not_served_even_as_the_last_and_a_change_of_the_plan_keeps_it_so() -> None:
    made = desired("a", "b")
    [only] = made.upstreams[next(n for n in made.upstreams if n.startswith("a"))].endpoints
    assert made.deny({key_of(only): "another's"}) == {key_of(only): {"a"}}
    assert made.deny({key_of(only): "another's"}) == {}
    assert endpoints(made.view("a")) == []
    assert endpoints(made.view("b")) == ["task-b"]
    made.change(PlanDelta(upstreams=_one(upstream("a", (only, endpoint(81, "new"))))))
    made.accept(key_of(endpoint(81, "new")))
    assert endpoints(made.view("a")) == ["new"]
    assert made.allow([key_of(only), key_of(endpoint(81, "new"))]) == {key_of(only): {"a"}}
    assert sorted(endpoints(made.view("a"))) == ["new", "task-a"]


def test_a_denial_ends_when_its_endpoint_leaves_the_plan() -> None:
    made = desired("a")
    [name] = made.upstreams
    [only] = made.upstreams[name].endpoints
    made.deny({key_of(only): "another's", key_of(endpoint(99, "unknown")): "not of the plan"})
    assert set(made.denied) == {key_of(only)}
    made.change(PlanDelta(upstreams={name: None}))
    assert made.denied == {}


def test_who_has_never_been_heard() -> None:
    made = desired("a")
    made.change(PlanDelta(upstreams=_one(upstream("a", (endpoint(80, "task-a"), endpoint(81, "new"))))))
    assert [e.task for e in made.unheard()] == ["new"]
