"""What Docker says that cannot be believed: held back, told, and believed or forgotten after a second reading."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from interlock_simulator.client import SimulatorClient
from interlock_watcher import plausibility
from interlock_watcher.app import Watcher
from support.bus_servers import Server
from support.watcher_lab import BusView, running_watcher, until

NAMES = ("s0", "s1", "s2", "s3", "s4")
POLL = 0.3
DIRECTLY = "/services/.+"


@pytest.fixture
def services(sim: SimulatorClient) -> None:
    for name in NAMES:
        labels = {"com.docker.lb.hosts": f"{name}.local", "com.docker.lb.port": "8080"}
        sim.create_service(name, labels=labels, replicas=1, networks=["web"])
    for name in NAMES:
        sim.wait_converged(name)


@pytest.fixture
def watcher(services: None, sim: SimulatorClient, server: Server, view: BusView) -> Iterator[Watcher]:
    with running_watcher(sim.docker_url, server.url, poll_interval=POLL) as running:
        until("all are on the bus", lambda: serving(view) == set(NAMES))
        until("the stream is open", lambda: running.watch.health.events_connected)
        yield running


def serving(view: BusView) -> set[str]:
    return {name for name in view.services() if view.serving(name) == 1}


def count(watcher: Watcher, what: str) -> float:
    return watcher.watch.health.counters.get(what, 0.0)


@pytest.mark.parametrize("path", ["/services", "/tasks"])
def test_one_bad_listing_withdraws_nothing_and_is_told(
    watcher: Watcher, sim: SimulatorClient, view: BusView, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    # Long enough to be looked at.
    monkeypatch.setattr(plausibility, "AGAIN", 2.0)
    before = view.snapshot().version
    sim.fault("lose", path=path, service="s0")
    direct = sim.fault("lose", path=DIRECTLY, service="s0")
    status = until("it is held back", lambda: (s := view.status()) and s.held_since is not None and s)
    sim.clear()
    assert status
    assert "4 of 5" in status.held
    until("it is forgotten", lambda: (s := view.status()) and s.held_since is None)
    assert count(watcher, "doubts_raised") == count(watcher, "doubts_refuted") == 1
    assert view.snapshot().version == before, "nothing at all was written"
    assert direct


def test_a_direct_look_that_fails_with_the_listing_withdraws_nothing(
    watcher: Watcher, sim: SimulatorClient, view: BusView
) -> None:
    """All are being read directly, again and again, and all are 404; one listing lacks them all as well."""
    for name in NAMES:
        sim.set_labels(name, {"touched": "now"})
    sim.fault("lose", path=DIRECTLY)
    sim.fault("lose", path="/services", count=1)
    until("doubted", lambda: count(watcher, "doubts_raised"))
    until("refuted", lambda: count(watcher, "doubts_refuted"))
    assert serving(view) == set(NAMES)
    sim.clear()
    sim.scale("s0", 2)
    view.await_serving("s0", 2)


def test_a_listing_that_is_not_believed_answers_no_event(
    watcher: Watcher, sim: SimulatorClient, view: BusView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what the event brought about would be told as found by chance, with the times of the next listing."""
    monkeypatch.setattr(plausibility, "AGAIN", 30.0)
    id_ = sim.service("s1")["ID"]
    sim.fault("error", path=f"/services/{id_}", status=500)
    sim.fault("lose", path="/services", service="s0")
    until("it is held back", lambda: (s := view.status()) and s.held_since is not None)
    sim.set_labels("s1", {"com.docker.lb.port": "9090"})
    until("it is heard", lambda: id_ in watcher.watch._hints)
    reads = count(watcher, "listings")
    until("it is listed twice", lambda: count(watcher, "listings") >= reads + 2)
    assert id_ in watcher.watch._hints


def test_what_goes_on_meanwhile_goes_on(
    watcher: Watcher, sim: SimulatorClient, view: BusView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausibility, "AGAIN", 30.0)
    sim.fault("lose", path="/services", service="s0")
    until("it is held back", lambda: (s := view.status()) and s.held_since is not None)
    sim.scale("s0", 2)
    view.await_serving("s0", 2)
    # By events even what the listings lack.
    sim.scale("s1", 2)
    view.await_serving("s1", 2)
    sim.remove("s2")
    until("s2 is gone", lambda: "s2" not in view.services())
    assert {"s3", "s4"} <= serving(view)


def test_a_mass_removal_without_events_waits_for_a_second_reading(
    watcher: Watcher, sim: SimulatorClient, view: BusView
) -> None:
    sim.fault("drop_events")
    began = time.monotonic()
    for name in NAMES[1:]:
        sim.remove(name)
    until("they are gone", lambda: set(view.services()) == {"s0"})
    took = time.monotonic() - began
    assert count(watcher, "doubts_confirmed") <= 1
    # A poll, the pause, two listings, and what a busy machine adds.
    assert took < POLL + plausibility.AGAIN + 1.5


def test_a_mass_removal_that_events_tell_of_waits_for_nothing(
    watcher: Watcher, sim: SimulatorClient, view: BusView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausibility, "AGAIN", 60.0)
    for name in NAMES:
        sim.remove(name)
    until("they are gone", lambda: not view.services(), timeout=3.0)


@pytest.mark.parametrize("path", ["/services", "/tasks"])
def test_a_new_watchers_first_listing_is_measured_by_what_the_former_published(
    services: None, sim: SimulatorClient, server: Server, view: BusView, path: str
) -> None:
    with running_watcher(sim.docker_url, server.url, poll_interval=POLL):
        until("all are on the bus", lambda: serving(view) == set(NAMES))
    before, version = view.services(), view.snapshot().version
    fault = sim.fault("lose", path=path, service="s0")
    with running_watcher(sim.docker_url, server.url, poll_interval=60, name="next") as watcher:
        until("doubted", lambda: count(watcher, "doubts_raised"))
        sim.clear(fault)
        until("refuted", lambda: count(watcher, "doubts_refuted"))
        until("it acts", lambda: watcher.publisher.acting)
        assert view.services() == before
        now = view.snapshot().version
        assert version
        assert now
        assert now.seq <= version.seq + 1, "and was so all the time: to withdraw and to restore takes two"


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["forward", "back"])
def test_a_clock_that_jumps_changes_nothing_but_what_is_dated(
    services: None, sim: SimulatorClient, server: Server, view: BusView, jump: float
) -> None:
    # Nothing but reads of what has not settled can see a crash: no event tells of it, and the next listing is far.
    with running_watcher(sim.docker_url, server.url, poll_interval=60) as watcher:
        until("all are on the bus", lambda: serving(view) == set(NAMES))
        sim.set_labels("s1", {"touched": "now"})
        before = view.snapshot().version
        watcher.watch.clock._wall = lambda: time.time() + jump
        until("it is told", lambda: (s := view.status()) and s.clock_jumped_at is not None)
        status = view.status()
        assert status
        assert status.clock_jumped_by == pytest.approx(jump, abs=0.2)
        assert status.counters["clock_jumps"] == 1
        assert abs(status.at - view.bus.server_time()) < 5.0, "dated by the server's clock"
        assert status.stale_since is None
        assert view.snapshot().version == before
        sim.set_labels("s0", {"touched": "now"})
        old = view.services()["s0"].tasks[0].id
        sim.crash("s0")
        until("the crash is seen", lambda: old not in {task.id for task in view.services()["s0"].tasks if task.wanted})
        sim.scale("s1", 0)
        since = until("it drains", lambda: [t.draining_since for t in view.services()["s1"].tasks if t.draining_since])
        assert abs(since[0] - (time.time() + jump)) < 10.0, "by the clock as it is now"
