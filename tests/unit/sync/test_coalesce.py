"""Folding changes."""

from __future__ import annotations

from interlock.sync.coalesce import Coalescer
from interlock.wire.trail import Cause, Trail


def trail(id_: str, at: float) -> Trail:
    return Trail(causes=(Cause(id=id_, kind="event", at=at),), hops={"seen": at})


def test_one_change_is_handed_on_as_it_is() -> None:
    coalescer: Coalescer[str] = Coalescer()
    coalescer.offer({"a": trail("1", 1)})
    assert coalescer.take() == {"a": trail("1", 1)}
    assert not coalescer
    assert coalescer.take() == {}


def test_a_storm_becomes_one_with_all_causes_and_the_earliest_times() -> None:
    coalescer: Coalescer[str] = Coalescer()
    for n in (3, 1, 2):
        coalescer.offer({"a": trail(str(n), n), "b": trail(f"b{n}", n)})
    assert len(coalescer) == 2
    taken = coalescer.take()
    assert list(taken) == ["a", "b"]
    assert [cause.id for cause in taken["a"].causes] == ["1", "2", "3"]
    assert taken["a"].hops == {"seen": 1}
    assert coalescer.folded == 4
