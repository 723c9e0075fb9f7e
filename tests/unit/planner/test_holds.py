"""Hosts held on their last accepted policy: what is published meanwhile, who is told what, and when it ends."""

from __future__ import annotations

import msgspec

from interlock.model.held import Held
from interlock.model.names import upstream_name
from interlock.model.outcome import HostRejection, Outcome
from interlock.model.problem import Problem
from interlock.model.routing import DEFAULT_HOST, PlanDelta, VirtualHost, unserved
from interlock.model.swarm import Service
from interlock.model.version import Version
from interlock.wire.fields import policy_digest
from interlock_planner.holds import GONE_AFTER, LOOK_AGAIN
from interlock_planner.plan import ClusterPlan, scratch
from support.swarm_values import LB, service, task

SAID = 'nginx refused: unknown directive "x" in /hosts/shop.com.conf:3'


class Lab:
    """A plan and its proxies, which run whatever was published unless told otherwise."""

    def __init__(self, *services: Service) -> None:
        self.plan = ClusterPlan()
        self.plan.follow({}, {})
        self.seq = 0
        self.now = 100.0
        self.apply(*services)
        self.hear(self.runs("p1"))

    def apply(self, *services: Service, gone: str = "") -> PlanDelta:
        delta = self.plan.apply({s.id: s for s in services} | ({gone: None} if gone else {}))
        self._published()
        return delta

    def _published(self) -> None:
        self.seq += 1
        self.plan.holds.published(self.version(), whole=False)

    def version(self, seq: int | None = None) -> Version:
        return Version(generation="g", seq=self.seq if seq is None else seq, nonce="n")

    def runs(self, proxy: str, *, seq: int | None = None, run: str = "r1", untried: str = "") -> Outcome:
        hosts = (untried,) if untried else ()
        return Outcome(proxy=proxy, extension="nginx", run=run, version=self.version(seq), untried=hosts)

    def refuses(
        self,
        proxy: str,
        host: str = "shop.com",
        *,
        run: str = "r1",
        kept: VirtualHost | None = None,
        untried: str = "",
    ) -> Outcome:
        """It refuses what the services of the host want now, and serves `kept`."""
        asked = self.plan._asked(host)
        assert asked
        serves = policy_digest(kept) if kept else ""
        rejection = HostRejection(host=host, reason=SAID, refused=policy_digest(asked.policy), kept=serves)
        return msgspec.structs.replace(self.runs(proxy, run=run, untried=untried), rejections=(rejection,))

    def hear(self, *outcomes: Outcome) -> PlanDelta:
        delta = self.plan.judge(outcomes, self.now)
        self._published()
        return delta

    def paths(self, host: str = "shop.com") -> list[str]:
        return [route.path for route in self.plan.plan.hosts[host].routes]

    def addresses(self, path: str = "/", host: str = "shop.com") -> list[str]:
        return [e.address for e in self.plan.plan.upstreams[upstream_name(host, path)].endpoints]

    def problem(self, of: Service) -> Problem:
        (problem,) = self.plan.plan.problems[of.id]
        return problem


def shop(*addresses: str, path: str = "/a", **labels: str) -> Service:
    found = [task(f"t{n}", address) for n, address in enumerate(addresses or ("10.0.1.1",))]
    return service("shop", *found, hosts="shop.com", context_root=path, **labels)


def test_a_refused_policy_is_held_on_the_accepted_one_and_its_endpoints_follow() -> None:
    lab = Lab(shop())
    lab.apply(shop(path="/b"))
    assert lab.paths() == ["/b"]
    delta = lab.hear(lab.refuses("p1"))
    assert lab.paths() == ["/a"]
    assert delta.upstreams.keys() == {upstream_name("shop.com", "/a"), upstream_name("shop.com", "/b")}
    # Scaled, and each address another: the former path serves it, though its service now claims another one.
    lab.apply(shop("10.0.1.7", "10.0.1.8", path="/b"))
    assert lab.addresses("/a") == ["10.0.1.7", "10.0.1.8"]
    assert lab.paths() == ["/a"]
    assert set(lab.plan.plan.upstreams) == {upstream_name("shop.com", "/a")}


def test_its_owner_is_told_which_label_why_and_what_to_do() -> None:
    lab = Lab(shop())
    moved = shop(path="/b")
    lab.apply(moved)
    lab.hear(lab.refuses("p1"))
    problem = lab.problem(moved)
    assert (problem.code, problem.severity, problem.key, problem.value) == (
        "refused",
        "error",
        LB + "context_root",
        "/b",
    )
    assert SAID in problem.reason
    assert "p1" in problem.reason
    assert "last accepted configuration is held" in problem.reason
    assert "context_root" in problem.remedy
    assert lab.plan.problem_kinds[("refused", "error")] == 1


def test_it_ends_when_the_service_changes_and_the_new_policy_is_on_trial_again() -> None:
    lab = Lab(shop())
    lab.apply(shop(path="/b"))
    lab.hear(lab.refuses("p1"))
    lab.apply(shop(path="/c"))
    assert lab.paths() == ["/c"]
    assert lab.plan.plan.problems == {}
    assert lab.plan.problem_kinds[("refused", "error")] == 0
    # Refused too: what was accepted is still known.
    lab.hear(lab.refuses("p1"))
    assert lab.paths() == ["/a"]
    lab.apply(shop(path="/c", ip_hash="true"))
    lab.hear(lab.runs("p1"))
    assert lab.plan.holds.records == {}
    # Accepted: from now on that is what is held.
    lab.apply(shop(path="/d"))
    lab.hear(lab.refuses("p1"))
    assert lab.paths() == ["/c"]
    assert lab.plan.plan.hosts["shop.com"].routes[0].ip_hash


def test_it_ends_when_the_service_goes_back_and_when_it_goes() -> None:
    for end in (lambda lab: lab.apply(shop()), lambda lab: lab.apply(gone=shop().id)):
        lab = Lab(shop())
        lab.apply(shop(path="/b"))
        lab.hear(lab.refuses("p1"))
        lab.plan.holds.stored()
        end(lab)
        assert lab.plan.holds.records == {}
        assert lab.plan.holds.changed == {"shop.com": None}
        assert lab.plan.plan.problems == {}


def test_a_rejection_of_an_older_policy_holds_nothing() -> None:
    lab = Lab(shop())
    lab.apply(shop(path="/b"))
    stale = lab.refuses("p1")
    lab.apply(shop(path="/c"))
    without_digest = HostRejection(host="shop.com", reason=SAID)
    for outcome in (stale, msgspec.structs.replace(stale, rejections=(without_digest,))):
        assert not lab.hear(outcome)
        assert lab.paths() == ["/c"]


def test_of_several_changes_between_two_applies_what_is_held_is_what_was_accepted() -> None:
    lab = Lab(shop())
    lab.apply(shop(path="/b"))
    lab.apply(shop(path="/c"))
    # p1 runs the plan before both.
    lab.hear(lab.runs("p1", seq=1))
    lab.hear(lab.refuses("p1"))
    assert lab.paths() == ["/a"]


def test_a_policy_that_was_accepted_and_replaced_before_anybody_heard_of_it_is_the_accepted_one() -> None:
    lab = Lab(service("blog", hosts="blog.com"))
    lab.apply(shop())
    lab.apply(shop(path="/b"))
    between = lab.plan.policies["shop.com"]
    lab.apply(shop(path="/c"))
    assert lab.plan.holds.records.keys() == {"shop.com"}
    # What it names is looked up, and never taken from it.
    lab.hear(lab.refuses("p0", kept=unserved("shop.com")), lab.refuses("p1", kept=between))
    assert lab.paths() == ["/b"]


def test_of_many_changes_in_a_row_a_few_are_remembered() -> None:
    lab = Lab(shop())
    for n in range(20):
        lab.apply(shop(path=f"/{n}"))
    record = lab.plan.holds.records["shop.com"]
    assert [policy.routes[0].path for policy in (record.policy, *record.between)] == ["/a", "/15", "/16", "/17", "/18"]


def test_one_proxy_of_several_holds_for_all_whichever_speaks_first() -> None:
    for first in (True, False):
        lab = Lab(shop())
        lab.hear(lab.runs("p1"), lab.runs("p2"))
        lab.apply(shop(path="/b"))
        refusing = lab.refuses("p2")
        if first:
            lab.hear(lab.runs("p1"), lab.runs("p2", seq=1))
        lab.hear(lab.runs("p1"), refusing)
        assert lab.paths() == ["/a"]


def test_a_proxy_that_joins_later_and_refuses_what_others_serve_is_told_and_holds_nobody() -> None:
    lab = Lab(shop())
    delta = lab.hear(lab.runs("p1"), lab.refuses("old"))
    assert not delta.hosts
    assert lab.paths() == ["/a"]
    problem = lab.problem(shop())
    assert (problem.severity, problem.key) == ("warning", "proxy")
    assert "old refused" in problem.reason
    # It still holds nobody when the service changes, and it is over when the proxy takes it.
    lab.hear(lab.runs("p1"), lab.runs("old"))
    assert lab.plan.plan.problems == {}
    assert lab.plan.holds.records == {}


def test_a_new_host_that_is_refused_answers_503_and_stays_its_owners() -> None:
    lab = Lab(service("blog", task("t9", "10.0.1.9"), hosts="blog.com"))
    lab.apply(shop(ip_hash="true"))
    delta = lab.hear(lab.refuses("p1"))
    assert delta.hosts.keys() == {"shop.com"}
    (route,) = lab.plan.plan.hosts["shop.com"].routes
    assert (route.path, route.services) == ("/", ("shop",))
    assert lab.addresses("/") == []
    problem = lab.problem(shop())
    assert (problem.severity, problem.key) == ("error", "proxy")
    assert "answers 503" in problem.reason
    assert lab.addresses(host="blog.com") == ["10.0.1.9"]


def test_a_new_host_that_nobody_served_when_it_was_run_was_never_accepted() -> None:
    blog = service("blog", task("t9", "10.0.1.9"), hosts="blog.com")
    lab = Lab(blog)
    lab.apply(shop())
    # Its endpoint is not admitted yet: nginx was given a 503, and none of the policy.
    lab.hear(lab.runs("p1", untried="shop.com"), lab.runs("p2", untried="shop.com"))
    for heir in (False, True):
        if heir:
            lab.plan, before = ClusterPlan(), lab.plan
            lab.plan.apply({s.id: s for s in (blog, shop())})
            lab.plan.follow(before.policies, before.holds.records)
            lab._published()
        kept = lab.plan.holds.records
        lab.hear(lab.refuses("p1", untried="shop.com"), lab.runs("p2", untried="shop.com"))
        assert "answers 503" in lab.problem(shop()).reason
        assert lab.addresses("/") == []
        assert kept.keys() == {"shop.com"}
        lab.apply(shop(path="/c"))
        lab.apply(shop())


def test_one_proxy_that_serves_a_host_is_enough_for_it_to_be_accepted() -> None:
    lab = Lab(service("blog", task("t9", "10.0.1.9"), hosts="blog.com"))
    lab.apply(shop())
    lab.hear(lab.runs("p1", untried="shop.com"), lab.runs("p2"))
    assert lab.plan.holds.records == {}
    lab.hear(lab.refuses("p1", untried="shop.com"), lab.runs("p2"))
    assert lab.problem(shop()).severity == "warning"


def test_a_change_at_no_replicas_is_on_trial_until_it_is_served() -> None:
    lab = Lab(shop())
    none = service("shop", hosts="shop.com", context_root="/b")
    lab.apply(none)
    lab.hear(lab.runs("p1", untried="shop.com"))
    lab.apply(shop(path="/b"))
    lab.hear(lab.refuses("p1"))
    assert lab.paths() == ["/a"]
    assert "last accepted configuration is held" in lab.problem(shop()).reason


def test_a_refusal_of_a_host_that_nobody_claims_any_more_is_nothing() -> None:
    lab = Lab(shop(), service("blog", hosts="blog.com"))
    lab.apply(shop(path="/b"))
    late = lab.refuses("p1")
    lab.apply(gone=shop().id)
    assert not lab.hear(late)
    assert lab.plan.holds.records == {}


def test_neighbours_on_the_same_host_are_concerned_keep_their_path_and_may_join() -> None:
    api = service("api", task("t5", "10.0.1.5"), hosts="shop.com", context_root="/api")
    lab = Lab(shop(path="/a"), api)
    lab.apply(shop(path="/b"))
    lab.hear(lab.refuses("p1"))
    assert lab.paths() == ["/api", "/a"]
    assert lab.plan.holds.records["shop.com"].services == (api.id, shop().id)
    problem = lab.problem(shop())
    assert problem.concerned == ("api",)
    assert api.id not in lab.plan.plan.problems
    # While it is held, the neighbour scales.
    lab.apply(msgspec.structs.replace(api, tasks=(task("t5", "10.0.1.5"), task("t6", "10.0.1.6"))))
    assert lab.addresses("/api") == ["10.0.1.5", "10.0.1.6"]
    assert lab.addresses("/a") == ["10.0.1.1"]


def test_a_policy_that_only_joins_services_is_blamed_on_who_joins() -> None:
    lab = Lab(shop())
    twin = service("twin", task("t5", "10.0.1.5"), hosts="shop.com", context_root="/a", created="2025-01-01T00:00:00Z")
    lab.apply(twin)
    lab.hear(lab.refuses("p1"))
    assert lab.plan.plan.problems.keys() == {twin.id}
    # Its policy is held back, its path is accepted: its tasks serve there.
    assert lab.addresses("/a") == ["10.0.1.1", "10.0.1.5"]


def test_the_default_backend_and_a_redirect() -> None:
    lab = Lab(service("any", task("t1", "10.0.1.1"), default_backend="true"))
    lab.apply(service("any", task("t1", "10.0.1.1"), default_backend="true", sticky_session_cookie="c"))
    lab.hear(lab.refuses("p1", DEFAULT_HOST))
    assert lab.plan.plan.hosts[DEFAULT_HOST].routes[0].sticky_cookie == ""
    assert "the default backend" in lab.plan.plan.problems["id-any"][0].reason

    lab = Lab(shop())
    turned = shop(redirects="http://shop.com,http://new.com")
    lab.apply(turned)
    lab.hear(lab.refuses("p1"))
    assert lab.addresses("/a") == ["10.0.1.1"]
    (problem,) = lab.plan.plan.problems[turned.id]
    assert (problem.key, problem.value) == (LB + "redirects", "http://new.com")


def test_proxies_that_are_mended_are_asked_again() -> None:
    lab = Lab(shop())
    lab.apply(shop(path="/b"))
    lab.hear(lab.refuses("p1"), lab.refuses("p2"))
    lab.hear(lab.runs("p1", run="r2"), lab.runs("p2"))
    assert lab.paths() == ["/a"], "p2 is as it was"
    lab.hear(lab.runs("p1", run="r2"))
    lab.now += GONE_AFTER - 1
    lab.hear(lab.runs("p1", run="r2"))
    assert lab.paths() == ["/a"], "p2 may come back"
    lab.now += 2
    lab.hear(lab.runs("p1", run="r2"))
    assert lab.paths() == ["/b"]
    lab.hear(lab.refuses("p1", run="r2"))
    assert lab.paths() == ["/a"], "it refuses still"


def test_while_something_is_refused_proxies_are_heard_also_without_news() -> None:
    lab = Lab(shop())
    lab.apply(shop(path="/b"))
    lab.now += LOOK_AGAIN
    assert not lab.plan.holds.due(lab.now), "what is on trial needs news"
    lab.hear(lab.refuses("p1"), lab.runs("p2"))
    assert not lab.plan.holds.due(lab.now + LOOK_AGAIN - 0.1)
    assert lab.plan.holds.due(lab.now + LOOK_AGAIN)
    # p1 is replaced; nobody says anything new any more.
    while lab.paths() == ["/a"]:
        lab.now += LOOK_AGAIN
        assert lab.now < 100 + GONE_AFTER + 4 * LOOK_AGAIN
        assert lab.plan.holds.due(lab.now)
        lab.hear(lab.runs("p2"))
    assert not lab.plan.holds.due(lab.now + GONE_AFTER)


def test_who_takes_over_knows_what_is_held_and_what_was_accepted_before_what_is_on_trial() -> None:
    blog = service("blog", task("t9", "10.0.1.9"), hosts="blog.com")
    lab = Lab(shop(), blog)
    lab.apply(shop(path="/b"))
    lab.hear(lab.refuses("p1"))
    hashing = service("blog", task("t9", "10.0.1.9"), hosts="blog.com", ip_hash="true")
    lab.apply(hashing)
    assert lab.plan.holds.records.keys() == {"shop.com", "blog.com"}
    heir = Lab()
    heir.seq, heir.plan = lab.seq, ClusterPlan()
    heir.plan.apply({s.id: s for s in (shop("10.0.1.4", path="/b"), hashing)})
    heir.plan.follow(lab.plan.policies, lab.plan.holds.records)
    heir._published()
    assert heir.paths() == ["/a"]
    assert heir.addresses("/a") == ["10.0.1.4"]
    heir.hear(heir.refuses("p1", "blog.com"))
    assert not heir.plan.plan.hosts["blog.com"].routes[0].ip_hash
    assert heir.plan.plan == scratch([shop("10.0.1.4", path="/b"), hashing], heir.plan.holds.records)


def test_what_changed_while_nobody_planned_is_on_trial_against_what_was_published() -> None:
    lab = Lab(shop())
    heir = ClusterPlan()
    heir.apply({shop().id: shop(path="/b")})
    heir.follow(lab.plan.policies, {"gone.com": Held(policy=lab.plan.policies["shop.com"], refused="digest")})
    assert heir.holds.records["shop.com"].policy == lab.plan.plan.hosts["shop.com"]
    assert heir.holds.changed.keys() == {"shop.com", "gone.com"}
    assert heir.holds.changed["gone.com"] is None


def test_who_takes_over_remembers_what_was_published_between() -> None:
    lab = Lab(shop())
    lab.apply(shop(path="/b"))
    accepted, between = lab.plan.holds.records["shop.com"].policy, lab.plan.policies["shop.com"]
    heir = ClusterPlan()
    heir.apply({shop().id: shop(path="/c")})
    heir.follow(lab.plan.policies, lab.plan.holds.records)
    assert heir.holds.records == {"shop.com": Held(policy=accepted, between=(between,))}
