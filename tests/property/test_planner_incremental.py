"""Whatever happens to the services, in whatever order and batches: incremental plan == plan from scratch."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from interlock.model.held import Held
from interlock.model.outcome import HostRejection, Outcome
from interlock.model.swarm import Network, Service, ServicePort, Task
from interlock.model.version import Version
from interlock.wire.fields import delta_fields, plan_fields, policy_digest
from interlock_planner.plan import ClusterPlan, scratch
from support.swarm_values import service, task

HOSTS = ["a.com", "b.com", "*.c.com", "A.com", "bad host", "x:80"]
REDIRECTS = ["http://a.com,https://x.com", "http://a.com,http://b.com", "http://b.com,http://a.com/x"]
NETWORKS = [Network(id="net1", name="web", vip="10.0.1.2"), Network(id="net2", name="st_db")]

tasks = st.lists(
    st.builds(
        task,
        st.sampled_from(["t1", "t2", "t3"]),
        st.sampled_from([None, "10.0.1.1", "10.0.1.2"]),
        state=st.sampled_from(["running", "starting", "failed"]),
        desired=st.sampled_from(["running", "shutdown"]),
        draining_since=st.sampled_from([None, 5.0]),
        node_down=st.booleans(),
        network=st.sampled_from(["net1", "net2"]),
        node=st.sampled_from(["", "192.0.2.1"]),
        published=st.sampled_from([0, 30001]),
    ),
    max_size=3,
    unique_by=lambda t: t.id,
)
ports = st.lists(
    st.builds(
        ServicePort,
        target=st.sampled_from([80, 8080]),
        published=st.sampled_from([0, 81]),
        protocol=st.sampled_from(["tcp", "udp"]),
        mode=st.sampled_from(["host", "ingress"]),
    ),
    max_size=2,
).map(tuple)
labels = st.fixed_dictionaries(
    {"port": st.sampled_from(["80", "81", "8080", "", "x"])},
    optional={
        "hosts": st.lists(st.sampled_from(HOSTS), max_size=3).map(",".join),
        "default_backend": st.sampled_from(["true", "false", "maybe"]),
        "context_root": st.sampled_from(["/", "/app", "/app/", "/b", "b"]),
        "context_root_rewrite": st.sampled_from(["true", "false"]),
        "backend_mode": st.sampled_from(["task", "vip", "what"]),
        "network": st.sampled_from(["web", "db", "none"]),
        "redirects": st.sampled_from(REDIRECTS),
        "hsots": st.just("typo"),
    },
)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Service | None]:
    """A batch of creations, updates, renames (the name is not tied to the id) and removals."""
    batch: dict[str, Service | None] = {}
    for service_id in draw(st.lists(st.sampled_from(["s1", "s2", "s3", "s4"]), min_size=1, max_size=3, unique=True)):
        batch[service_id] = draw(st.none() | some_service(service_id))
    return batch


def some_service(service_id: str) -> st.SearchStrategy[Service]:
    def make(
        name: str,
        created: str,
        networks: list[Network],
        found: list[Task],
        asked: tuple[ServicePort, ...],
        dnsrr: bool,
        texts: dict[str, str],
    ) -> Service:
        return service(
            name,
            *found,
            service_id=service_id,
            created=created,
            networks=tuple(networks),
            stack="st",
            ports=asked,
            dnsrr=dnsrr,
            **texts,
        )

    return st.builds(
        make,
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5Z", "2024-05-01T10:00:00.51Z"]),
        st.lists(st.sampled_from(NETWORKS), max_size=2, unique=True),
        tasks,
        ports,
        st.booleans(),
        labels,
    )


routed = st.builds(
    service,
    st.sampled_from(["one", "two", "three"]),
    tasks.map(tuple).map(lambda found: found[0] if found else task("t9")),
    service_id=st.sampled_from(["s1", "s2", "s3"]),
    created=st.sampled_from(["2024-05-01T10:00:00Z", "2024-05-02T10:00:00Z"]),
    hosts=st.sampled_from(["a.com", "b.com", "a.com,b.com"]),
    context_root=st.sampled_from(["/", "/app", "/b"]),
    ip_hash=st.sampled_from(["true", "false"]),
    redirects=st.sampled_from(["", "", *REDIRECTS]),
)
"""Services that are routed, often to the same host."""
said = st.tuples(st.sampled_from(["refuse", "refuse", "take", "other", "mended"]), st.integers(0, 3))
"""A proxy refuses what is wanted of the host of this number, or something else, or nothing; or begins anew."""


def says(plan: ClusterPlan, seq: int, kind: str, number: int) -> list[Outcome]:
    """What two proxies report at a version, of which the first may refuse something."""
    hosts = sorted(plan.policies)
    version = Version(generation="g", seq=seq, nonce=f"n{seq}")
    rejections: tuple[HostRejection, ...] = ()
    if hosts and kind in ("refuse", "other"):
        host = hosts[number % len(hosts)]
        asked = plan._asked(host)
        assert asked is not None
        refused = policy_digest(asked.policy) if kind == "refuse" else "of an older policy"
        between = [policy_digest(p) for r in plan.holds.records.values() for p in r.between]
        kept = between[number % len(between)] if between else ""
        rejections = (HostRejection(host=host, reason="no", refused=refused, kept=kept),)
    run = "second" if kind == "mended" else "first"
    return [
        Outcome(proxy="p1", extension="nginx", version=version, rejections=rejections, run=run),
        Outcome(proxy="p2", extension="nginx", version=version),
    ]


@given(st.lists(routed | st.sampled_from(["s1", "s2", "s3"]) | said, max_size=16), st.data())
def test_incremental_equals_scratch_also_while_policies_are_held(
    steps: list[Service | str | tuple[str, int]], data: st.DataObject
) -> None:
    plan = ClusterPlan()
    plan.follow({}, {})
    left: dict[str, Service] = {}
    published: dict[str, bytes] = {}
    stored: dict[str, Held] = {}
    for seq, step in enumerate(steps):
        if isinstance(step, tuple):
            delta = plan.judge(says(plan, seq, *step), float(seq))
        elif isinstance(step, str):
            delta = plan.apply({step: None})
            left.pop(step, None)
        else:
            delta = plan.apply({step.id: step})
            left[step.id] = step
        plan.holds.published(Version(generation="g", seq=seq, nonce=f"n{seq}"), whole=data.draw(st.booleans()))
        for field, value in delta_fields(delta).items():
            assert published.get(field) != value, "a delta holds what does not differ"
            published = {f: v for f, v in {**published, field: value}.items() if v is not None}
        for host, record in plan.holds.changed.items():
            stored = {h: r for h, r in {**stored, host: record}.items() if r is not None}
        plan.holds.stored()
        expected = scratch(data.draw(st.permutations(list(left.values()))), plan.holds.records)
        assert plan.plan == expected
        assert published == plan_fields(expected)
        assert stored == plan.holds.records
        assert +Counter(plan.problem_kinds) == Counter(
            (problem.code, problem.severity) for found in expected.problems.values() for problem in found
        )
        # Who takes over knows it all from what is on the bus.
        other = ClusterPlan()
        other.apply(left)
        other.follow(plan.policies, stored)
        assert other.plan == expected
        assert other.holds.records == stored
        # Held is policy, never addresses: every address is one that its service has now.
        claimed = {e for claim in map(plan.claim, left) if claim for e in claim.endpoints}
        assert {e for upstream in expected.upstreams.values() for e in upstream.endpoints} <= claimed


@given(st.lists(changes(), max_size=8), st.data())
def test_incremental_equals_scratch(batches: list[dict[str, Service | None]], data: st.DataObject) -> None:
    plan = ClusterPlan()
    left: dict[str, Service] = {}
    published: dict[str, bytes] = {}
    for batch in batches:
        delta = plan.apply(batch)
        for service_id, changed in batch.items():
            if changed is None:
                left.pop(service_id, None)
            else:
                left[service_id] = changed
        for field, value in delta_fields(delta).items():
            assert published.get(field) != value, "a delta holds what does not differ"
            if value is None:
                del published[field]
            else:
                published[field] = value
        expected = scratch(data.draw(st.permutations(list(left.values()))))
        assert plan.plan == expected
        assert published == plan_fields(expected)


@given(st.lists(changes(), max_size=5), st.lists(st.sampled_from(["s1", "s2", "s3", "s4"]), unique=True))
def test_a_refused_frame_changes_no_route_and_leaves_no_trace(
    batches: list[dict[str, Service | None]], refused: list[str]
) -> None:
    plan = ClusterPlan()
    left: dict[str, Service | None] = {}
    for batch in batches:
        plan.apply(batch)
        left |= batch
    before = plan.plan
    plan.apply({}, dict.fromkeys(refused, "unreadable"))
    assert (plan.plan.hosts, plan.plan.upstreams) == (before.hosts, before.upstreams)
    assert plan.plan.problems.keys() >= set(refused)
    plan.apply({service_id: left.get(service_id) for service_id in refused})
    assert plan.plan == before
