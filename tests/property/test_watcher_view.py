"""Whatever the order in which answers arrive: the view ends where Docker is, and never goes back."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.sync.coalesce import Coalescer
from interlock.wire.trail import Cause, Trail
from interlock_watcher.engine import Listing, RawService
from interlock_watcher.plausibility import AGAIN
from interlock_watcher.view import View

IDS = ("a", "b", "c")


def raw(id_: str, index: int) -> RawService:
    spec = {"Name": id_, "Labels": {"com.docker.lb.hosts": f"{id_}.local"}}
    return msgspec.convert({"ID": id_, "Version": {"Index": index}, "CreatedAt": "", "Spec": spec}, RawService)


@settings(deadline=None)
@given(st.data())
def test_answers_in_any_order_end_at_the_truth(data: st.DataObject) -> None:  # noqa: C901  # one story
    """Docker changes, reads begin and end interleaved; each answer is Docker's state at the read's beginning."""
    view, truth, index, now = View(), dict[str, int](), 0, 1000.0
    under_way: list[tuple[str, int, dict[str, int]]] = []
    seen: dict[str, int] = {}

    def finish(kind: str, ticket: int, then: dict[str, int]) -> None:
        if kind == "all":
            everything = Listing(services=tuple(raw(id_, i) for id_, i in then.items()))
            _, absent = view.apply_listing(ticket, now, everything)
            for id_ in absent:
                look(id_)
        elif kind in then:
            view.apply_service(ticket, now, raw(kind, then[kind]), ())
        else:
            view.apply_absent(ticket, now, kind)

    def look(id_: str) -> None:
        finish(id_, view.begin(), dict(truth))

    for _ in range(data.draw(st.integers(0, 30))):
        step = data.draw(st.sampled_from(["change", "remove", "begin", "list", "end", "end"]))
        id_ = data.draw(st.sampled_from(IDS))
        if step == "change":
            index += 1
            truth[id_] = index
        elif step == "remove":
            truth.pop(id_, None)
        elif step in {"begin", "list"}:
            under_way.append(("all" if step == "list" else id_, view.begin(), dict(truth)))
        elif under_way:
            finish(*under_way.pop(data.draw(st.integers(0, len(under_way) - 1))))
        for known in view.services.values():
            assert known.index >= seen.get(known.id, 0)
            seen[known.id] = known.index
    while under_way:
        finish(*under_way.pop(data.draw(st.integers(0, len(under_way) - 1))))
    # A listing that begins when nothing moves any more, whatever came before; what lacks most is asked for again.
    for _ in range(2):
        now += AGAIN
        finish("all", view.begin(), dict(truth))
    assert {id_: service.index for id_, service in view.services.items()} == truth


@given(st.lists(st.one_of(st.none(), st.tuples(st.sampled_from(IDS), st.integers(0, 99))), max_size=40))
def test_no_change_is_lost_however_it_is_taken(steps: list[tuple[str, int] | None]) -> None:
    coalescer: Coalescer[str] = Coalescer()
    offered: dict[str, set[str]] = {}
    taken: dict[str, set[str]] = {}

    def take() -> None:
        for key, trail in coalescer.take().items():
            taken.setdefault(key, set()).update(cause.id for cause in trail.causes)

    for n, step in enumerate(steps):
        if step is None:
            take()
            continue
        key, at = step
        coalescer.offer({key: Trail(causes=(Cause(id=str(n), kind="event", at=at),))})
        offered.setdefault(key, set()).add(str(n))
    take()
    assert taken.keys() == offered.keys()
    assert all(taken[key] <= offered[key] for key in offered)
