"""The trail: folding keeps every cause and counts the waiting."""

from __future__ import annotations

from interlock.wire.trail import Cause, Trail


def cause(n: int) -> Cause:
    return Cause(id=f"c{n}", kind="event", at=float(n))


def test_a_hop_is_added_without_touching_the_former() -> None:
    trail = Trail(causes=(cause(1),), hops={"seen": 1.0})
    assert trail.hop("published", 2.0).hops == {"seen": 1.0, "published": 2.0}
    assert trail.hops == {"seen": 1.0}


def test_folding_keeps_the_earlier_time_and_all_causes_once() -> None:
    late = Trail(causes=(cause(2), cause(1)), hops={"seen": 5.0, "published": 6.0})
    early = Trail(causes=(cause(1),), hops={"seen": 1.0})
    folded = late.merge(early)
    assert [c.id for c in folded.causes] == ["c1", "c2"]
    assert folded.hops == {"seen": 1.0, "published": 6.0}
    assert folded == early.merge(late)


def test_the_causes_are_bounded() -> None:
    trail = Trail()
    for n in range(50):
        trail = trail.merge(Trail(causes=(cause(n),)))
    assert len(trail.causes) == 8
    assert trail.causes[0].id == "c0"
