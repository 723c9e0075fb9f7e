"""How often what has not settled is read."""

from __future__ import annotations

import msgspec

from interlock_watcher import settle
from interlock_watcher.engine import RawService, RawTask


def service(updating: bool = False, replicas: int | None = 1) -> RawService:
    mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    values = {"ID": "s", "Version": {"Index": 1}, "CreatedAt": "", "Spec": {"Name": "s", "Mode": mode}}
    return msgspec.convert({**values, "UpdateStatus": {"State": "updating" if updating else "completed"}}, RawService)


def task(state: str = "running", desired: str = "running") -> RawTask:
    return msgspec.convert({"ID": "t", "Status": {"State": state}, "DesiredState": desired}, RawTask)


def test_what_counts_as_unsettled() -> None:
    def open_(raw: RawService, *tasks: RawTask, since: float = 100.0) -> bool:
        return settle.unsettled(raw, tasks, since_change=since)

    assert not open_(service(), task())
    assert open_(service(), task(), since=14.9)
    assert open_(service(updating=True), task())
    assert open_(service(replicas=2), task())
    assert open_(service(), task(), task("starting"))
    assert open_(service(), task(), task("running", "shutdown"))
    assert not open_(service(), task(), task("failed", "shutdown"), task("shutdown", "shutdown"))
    assert not open_(service(replicas=None), task(), task())
    assert not open_(service(replicas=0))


def test_ten_times_a_second_at_first_once_in_the_end() -> None:
    assert settle.pause(service(), since_change=0) == 0.1
    assert settle.pause(service(), since_change=15) == 0.5
    assert settle.pause(service(), since_change=1000) == 1.0
    # Between the swaps of a rolling update nothing changes for seconds, and the next one must not be missed.
    assert settle.pause(service(updating=True), since_change=6) == 0.1


def test_when_a_listing_costs_less() -> None:
    assert not settle.listing_is_cheaper(1, 0.01, 0.001)
    assert settle.listing_is_cheaper(20, 0.01, 0.1)
    assert not settle.listing_is_cheaper(5, 0.01, 0.1)


def test_listings_cost_a_twentieth_of_a_core_at_most() -> None:
    assert settle.stretched(3, 0.01) == 3
    assert settle.stretched(3, 0.25) == 5
    assert settle.stretched(3, 100) == settle.LONGEST
