"""What becomes of the verdicts about addresses."""

from __future__ import annotations

from interlock.model.routing import Endpoint, PlanDelta
from interlock_extension.admission import key_of
from interlock_extension.confirm.desk import Desk
from interlock_extension.confirm.doubt import AFTERWARDS
from interlock_extension.confirm.verdict import Ruling, Subjects
from interlock_extension.desired import Desired
from support.nginx_lab import endpoint, upstream, virtual_host

ONE, TWO, THREE = (endpoint(port, f"t{port}") for port in (1, 2, 3))


class Asked:
    """In the place of the thread that asks: it is told about whom."""

    def __init__(self) -> None:
        self.subjects = Subjects()

    def look(self, subjects: Subjects) -> None:
        self.subjects = subjects


def in_doubt() -> tuple[Desired, Asked, Desk]:
    desired, asked = Desired(), Asked()
    group = upstream("shop", (ONE, TWO, THREE))
    desired.change(PlanDelta(hosts={"shop": virtual_host("shop")}, upstreams={group.name: group}))
    for one in (ONE, TWO, THREE):
        desired.accept(key_of(one))
    desk = Desk(desired, asked)  # type: ignore[arg-type]  # of a confirmer only this is used
    desk.tend(stale=True, now=0.0)
    return desired, asked, desk


def served(desired: Desired) -> list[Endpoint]:
    view = desired.view("shop")
    return [e for u in view.upstreams for e in u.endpoints] if view else []


def test_all_are_asked_about_while_there_is_doubt_and_nobody_afterwards() -> None:
    _, asked, desk = in_doubt()
    assert asked.subjects.endpoints == (ONE, TWO, THREE)
    desk.tend(stale=False, now=1.0)
    desk.tend(stale=False, now=1.0 + AFTERWARDS)
    assert asked.subjects.endpoints == ()


def test_a_plan_beyond_doubt_vouches_for_the_unknown_but_not_for_what_is_anothers() -> None:
    desired, asked, desk = in_doubt()
    why = {key_of(ONE): "tasks.shop.web. is not known", key_of(TWO): "the address is blog's now"}
    assert desk.rule(Ruling(deny=why, unknown=frozenset({key_of(ONE)}))) == {"shop"}
    assert served(desired) == [THREE]
    assert desk.tend(stale=False, now=1.0) == frozenset()
    assert served(desired) == [THREE]
    assert desk.tend(stale=False, now=1.0 + AFTERWARDS) == {"shop"}
    assert served(desired) == [ONE, THREE]
    # And of the other DNS goes on being asked.
    assert asked.subjects.denied == {key_of(TWO)}


def test_the_unknown_that_became_anothers_is_not_vouched_for() -> None:
    desired, _, desk = in_doubt()
    key = key_of(ONE)
    desk.rule(Ruling(deny={key: "not known"}, unknown=frozenset({key})))
    desk.rule(Ruling(deny={key: "the address is blog's now"}))
    desk.tend(stale=False, now=1.0)
    assert desk.tend(stale=False, now=1.0 + AFTERWARDS) == frozenset()
    assert served(desired) == [TWO, THREE]
    assert desk.denied[0].why == "the address is blog's now"
