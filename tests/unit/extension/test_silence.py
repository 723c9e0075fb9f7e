"""Endpoints that stopped answering."""

from __future__ import annotations

from interlock.model.routing import VIP, PlanDelta
from interlock_extension.admission import key_of
from interlock_extension.desired import Desired
from interlock_extension.silence import LONGEST, Silence
from support.nginx_lab import endpoint, upstream, virtual_host

A, B, C = (endpoint(port, f"t{port}") for port in (1, 2, 3))


def served(desired: Desired) -> set[int]:
    view = desired.view("shop")
    return {e.port for u in view.upstreams for e in u.endpoints} if view else set()


def of_three() -> tuple[Desired, Silence]:
    desired = Desired()
    group = upstream("shop", (A, B, C))
    desired.change(PlanDelta(hosts={"shop": virtual_host("shop")}, upstreams={group.name: group}))
    for one in (A, B, C):
        desired.accept(key_of(one))
    return desired, Silence(desired)


def peers(*endpoints: object) -> frozenset[tuple[str, int]]:
    return frozenset((e.address, e.port) for e in endpoints)  # type: ignore[attr-defined]


def test_who_keeps_the_proxy_waiting_is_looked_at_once() -> None:
    _, silence = of_three()
    assert silence.stalled(peers(A)) == {key_of(A)}
    assert silence.stalled(peers(A)) == frozenset()


def test_who_was_never_admitted_is_not_looked_at() -> None:
    _, silence = of_three()
    assert silence.stalled(frozenset({("192.0.2.7", 1)})) == frozenset()


def test_who_does_not_accept_gets_no_request_until_it_does() -> None:
    desired, silence = of_three()
    silence.stalled(peers(A))
    assert silence.tried(key_of(A), accepted=False, now=0.0) == {"shop"}
    assert served(desired) == {2, 3}
    assert silence.stalled(peers(A)) == frozenset()
    assert silence.tried(key_of(A), accepted=True, now=0.0) == {"shop"}
    assert served(desired) == {1, 2, 3}


def test_who_accepts_stays() -> None:
    desired, silence = of_three()
    silence.stalled(peers(A))
    assert silence.tried(key_of(A), accepted=True, now=0.0) == frozenset()
    assert served(desired) == {1, 2, 3}
    # And may be doubted again.
    assert silence.stalled(peers(A)) == {key_of(A)}


def test_where_nobody_answers_all_are_kept() -> None:
    desired, silence = of_three()
    for one in (A, B, C):
        silence.stalled(peers(one))
        silence.tried(key_of(one), accepted=False, now=0.0)
    assert served(desired) == {1, 2, 3}
    silence.tried(key_of(B), accepted=True, now=0.0)
    assert served(desired) == {2}


def test_a_refused_probe_of_a_new_endpoint_is_no_silence() -> None:
    desired, silence = of_three()
    assert silence.tried(key_of(A), accepted=False, now=0.0) == frozenset()
    assert served(desired) == {1, 2, 3}


def test_who_leaves_the_plan_is_forgotten() -> None:
    desired, silence = of_three()
    silence.stalled(peers(A))
    silence.tried(key_of(A), accepted=False, now=0.0)
    group = upstream("shop", (B, C))
    touched = desired.change(PlanDelta(upstreams={group.name: group}))
    silence.forget(touched.gone)
    assert desired.silent == set()


def test_who_relapses_stays_out_twice_as_long_each_time() -> None:
    desired, silence = of_three()
    now, out = 0.0, []
    for _ in range(4):
        silence.stalled(peers(A))
        silence.tried(key_of(A), accepted=False, now=now)
        fell = now
        silence.tried(key_of(A), accepted=True, now=now)
        while key_of(A) in desired.silent:
            now += 0.5
            silence.due(now)
        out.append(now - fell)
    assert out == [0.0, 2.0, 4.0, 8.0]


def test_after_a_good_while_it_is_no_relapse() -> None:
    desired, silence = of_three()
    for now in (0.0, 100.0):
        silence.stalled(peers(A))
        silence.tried(key_of(A), accepted=False, now=now)
        silence.tried(key_of(A), accepted=True, now=now)
        assert desired.silent == set()


def test_however_often_it_relapses_it_comes_back() -> None:
    desired, silence = of_three()
    now = 0.0
    for _ in range(1_100):
        silence.stalled(peers(A))
        silence.tried(key_of(A), accepted=False, now=now)
        silence.tried(key_of(A), accepted=True, now=now)
        now += LONGEST
        silence.due(now)
        assert desired.silent == set()


def test_a_virtual_ip_is_never_silent() -> None:
    """Traffic behind it goes to many tasks: with one on a lost node, a look fails now and then."""
    desired = Desired()
    virtual, one = endpoint(1, VIP), endpoint(2, "t2")
    group = upstream("shop", (virtual, one))
    desired.change(PlanDelta(hosts={"shop": virtual_host("shop")}, upstreams={group.name: group}))
    for each in (virtual, one):
        desired.accept(key_of(each))
    silence = Silence(desired)
    assert silence.stalled(peers(virtual, one)) == {key_of(one)}
    assert silence.tried(key_of(virtual), accepted=False, now=0.0) == frozenset()
    assert served(desired) == {1, 2}
