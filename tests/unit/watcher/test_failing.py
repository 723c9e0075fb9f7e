"""When a service whose read failed is tried again."""

from __future__ import annotations

from interlock_watcher.failing import LATEST, SOONEST, Failing

NOW = 1_000_000.0


def test_it_is_put_off_and_then_its_turn_comes_again() -> None:
    failing = Failing()
    until = failing.failed("s1", NOW, spent=0.01, why="500")
    assert until == NOW + SOONEST
    assert failing.put_off(["s1", "s2"], NOW) == {"s1": until}
    assert failing.put_off(["s1", "s2"], until) == {}
    assert failing.reasons == {"s1": "500"}
    failing.answered("s1")
    assert failing.reasons == {}
    assert failing.put_off(["s1"], NOW) == {}


def test_a_read_that_hangs_waits_longer_but_not_for_ever() -> None:
    failing = Failing()
    assert failing.failed("s1", NOW, spent=1.0, why="time-out") == NOW + 5
    assert failing.failed("s1", NOW, spent=60.0, why="time-out") == NOW + LATEST


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    failing = Failing()
    for id_ in ("s1", "s2"):
        failing.failed(id_, NOW, spent=0, why="500")
    failing.forget_all_but({"s2", "s3"})
    assert set(failing.reasons) == {"s2"}
