"""Whatever listings say: no large part goes on the strength of one, and two that agree end at the truth."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock_watcher.engine import Listing, RawNode, RawService, RawTask
from interlock_watcher.plausibility import AGAIN, LEAST
from interlock_watcher.view import View

IDS = tuple("abcdefgh")
NODES = (msgspec.convert({"ID": "node", "Status": {"State": "ready"}}, RawNode),)


def raw(id_: str) -> RawService:
    spec = {"Name": id_, "Labels": {"com.docker.lb.hosts": f"{id_}.local"}}
    return msgspec.convert({"ID": id_, "Version": {"Index": 1}, "CreatedAt": "", "Spec": spec}, RawService)


def task(of: str) -> RawTask:
    values = {"ID": of, "ServiceID": of, "NodeID": "node", "Status": {"State": "running"}, "DesiredState": "running"}
    return msgspec.convert(values, RawTask)


def listing(services: set[str], tasks: set[str]) -> Listing:
    return Listing(
        services=tuple(map(raw, sorted(services))), tasks=tuple(map(task, sorted(tasks & services))), nodes=NODES
    )


def serving(view: View) -> set[str]:
    return {id_ for id_, known in view.services.items() if any(task.wanted for task in known.tasks)}


def read(view: View, seen: Listing, began: float, ended: float) -> None:
    """A listing, and the direct looks that it asks for, which say the same as it does."""
    _, absent = view.apply_listing(view.begin(), ended, seen, began=began)
    for id_ in absent:
        view.apply_absent(view.begin(), ended, id_)


readings = st.lists(
    st.tuples(
        st.floats(0, 2 * AGAIN), st.floats(0, AGAIN), st.sets(st.sampled_from(IDS)), st.sets(st.sampled_from(IDS))
    ),
    max_size=12,
)


@settings(deadline=None)
@given(readings, st.sets(st.sampled_from(IDS)))
def test_no_large_part_goes_on_the_strength_of_one_listing(
    story: list[tuple[float, float, set[str], set[str]]], truth: set[str]
) -> None:
    view, now = View(), 1000.0
    read(view, listing(set(IDS), set(IDS)), now, now)
    # Since the end of which reading each has been missing in every one.
    lacking: dict[str, float] = {}
    for pause, takes, services, tasks in story:
        before, began = serving(view), now + pause
        now = began + takes
        read(view, listing(services, tasks), began, now)
        gone = before - serving(view)
        if len(gone) >= LEAST and 2 * len(gone) > len(before):
            assert all(lacking.get(id_, began) + AGAIN <= began for id_ in gone), (gone, lacking, began)
        lacking = {id_: lacking.get(id_, now) for id_ in IDS if id_ not in services & tasks}
    for _ in range(2):
        now += AGAIN
        read(view, listing(truth, truth), now, now)
    assert set(view.services) == serving(view) == truth
    assert view.doubts.since is None


@settings(deadline=None)
@given(st.sets(st.sampled_from(IDS)), st.sets(st.sampled_from(IDS)))
def test_one_bad_listing_among_good_ones_takes_less_than_most(services: set[str], tasks: set[str]) -> None:
    view = View()
    read(view, listing(set(IDS), set(IDS)), 1000.0, 1000.0)
    read(view, listing(services, set(IDS)), 1001.0, 1001.0)
    assert len(view.services) >= len(IDS) / 2
    other = View()
    read(other, listing(set(IDS), set(IDS)), 1000.0, 1000.0)
    read(other, listing(set(IDS), tasks), 1001.0, 1001.0)
    assert len(serving(other)) >= len(IDS) / 2
