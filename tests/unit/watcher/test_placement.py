"""Which cluster holds what: put into the new one first, then taken from the old."""

from __future__ import annotations

from interlock.model.names import Cluster
from interlock.model.swarm import Service
from interlock.wire.fields import service_bytes
from interlock.wire.trail import Cause, Trail
from interlock_watcher.placement import arrivals, by_cluster, steps

A, B = Cluster("r", "a"), Cluster("r", "b")


def service(id_: str, cluster: str) -> Service:
    return Service(id=id_, name=id_, created="", labels={"com.docker.lb.service_cluster": cluster})


def trail(id_: str) -> Trail:
    return Trail(causes=(Cause(id=id_, kind="event"),))


def test_a_move_is_put_first_and_taken_last() -> None:
    moved = service("s1", "b")
    put, take = steps("r", {"s1": moved}, {"s1": trail("s1")}, {"s1": A})
    assert (put.cluster, put.changes) == (B, {"s1": service_bytes(moved)})
    assert (take.cluster, take.changes) == (A, {"s1": None})


def test_changes_of_one_cluster_are_one_write_with_all_causes() -> None:
    present = {"s1": service("s1", "a"), "s2": None, "s3": None}
    [step] = steps("r", present, {id_: trail(id_) for id_ in present}, {"s2": A})
    assert step.cluster == A
    assert step.changes == {"s1": service_bytes(service("s1", "a")), "s2": None}
    assert [cause.id for cause in step.trail.causes] == ["s1", "s2"]


def test_arrivals_are_services_that_the_bus_holds_elsewhere() -> None:
    whole = by_cluster("r", {"s1": service("s1", "b"), "s2": service("s2", "a"), "new": service("new", "a")})
    assert arrivals(whole, {A: ["s1", "s2"], B: []}) == {B: {"s1": service_bytes(service("s1", "b"))}}
    assert arrivals(whole, {A: ["s1", "s2"], B: ["s1"]}) == {}
