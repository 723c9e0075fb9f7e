"""Whatever Docker does or fails to do: nothing is withdrawn, the state is said to be stale, and it heals unaided."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from interlock_simulator.client import SimulatorClient
from interlock_watcher import docker_source
from interlock_watcher.app import Watcher
from interlock_watcher.docker_source import DockerSource
from interlock_watcher.inbox import Inbox
from interlock_watcher.watch import Watch
from support.bus_servers import Server
from support.watcher_lab import BusView, running_watcher, until

SHOP = {"com.docker.lb.hosts": "shop.local", "com.docker.lb.port": "8080"}


@pytest.fixture
def watcher(sim: SimulatorClient, server: Server, view: BusView) -> Iterator[Watcher]:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    sim.wait_converged("shop")
    with running_watcher(sim.docker_url, server.url, poll_interval=0.3) as running:
        until("shop is on the bus", lambda: view.serving("shop") == 2)
        until("fresh", lambda: fresh(view))
        yield running


def fresh(view: BusView) -> bool:
    status = view.status()
    return status is not None and status.stale_since is None


def stale(view: BusView) -> bool:
    status = view.status()
    assert view.serving("shop") == 2
    return status is not None and status.stale_since is not None and bool(status.reason)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "status": 500},
        {"kind": "error", "status": 503},
        {"kind": "error", "status": 500, "path": "/tasks"},
        {"kind": "error", "status": 404},
        {"kind": "reset"},
        {"kind": "refuse", "seconds": 60},
        {"kind": "slow", "delay": 4},
    ],
    ids=lambda fault: "-".join(str(v).strip("/") for v in fault.values()),
)
def test_a_docker_that_fails_withdraws_nothing(
    watcher: Watcher, sim: SimulatorClient, view: BusView, fault: dict[str, object]
) -> None:
    # Just touched, so that it is read directly, again and again: what cannot be read must not count as gone.
    sim.set_labels("shop", {"touched": "now"})
    number = sim.fault(**fault)  # type: ignore[arg-type]  # the kind is among them
    until("stale is said", lambda: stale(view))
    sim.clear(number)
    until("healed", lambda: fresh(view), timeout=15)
    assert view.serving("shop") == 2
    sim.scale("shop", 3)
    until("it follows again", lambda: view.serving("shop") == 3)


def test_a_stream_that_is_cut_is_opened_again_and_everything_listed(
    watcher: Watcher, sim: SimulatorClient, view: BusView
) -> None:
    streams = watcher.watch.health.counters["event_streams"]
    sim.fault("cut_events", count=1)
    sim.scale("shop", 3)
    until("opened again", lambda: watcher.watch.health.counters["event_streams"] > streams)
    until("three tasks serve", lambda: view.serving("shop") == 3)
    until("fresh", lambda: fresh(view))


def test_lost_events_are_made_good_by_polling(watcher: Watcher, sim: SimulatorClient, view: BusView) -> None:
    sim.fault("drop_events", seconds=3)
    sim.scale("shop", 3)
    until("three tasks serve", lambda: view.serving("shop") == 3)
    sim.remove("shop")
    until("the removal", lambda: not view.services())


def test_nodes_unknown_keep_their_endpoints(watcher: Watcher, sim: SimulatorClient, view: BusView) -> None:
    before = view.snapshot().version
    # Longer than a poll interval: that all nodes are unknown is told by a full listing.
    sim.nodes_unknown(5)
    until("stale is said", lambda: stale(view))
    until("healed", lambda: fresh(view))
    assert view.serving("shop") == 2
    assert view.snapshot().version == before


def test_a_slow_listing_never_overwrites_a_newer_read(watcher: Watcher, sim: SimulatorClient, view: BusView) -> None:
    sim.fault("slow_listing", delay=1.0)
    listings = watcher.watch.health.counters["listings"]
    for port in range(9000, 9006):
        sim.set_labels("shop", {"com.docker.lb.port": str(port)})
        until(f"port {port}", lambda port=port: view.services()["shop"].labels["com.docker.lb.port"] == str(port))
    last = view.snapshot().version
    until("slow listings arrive", lambda: watcher.watch.health.counters["listings"] >= listings + 2, timeout=15)
    snapshot = view.snapshot()
    assert snapshot.version == last
    assert view.services()["shop"].labels["com.docker.lb.port"] == "9005"


def test_one_service_that_makes_no_sense_does_not_stop_the_others(
    watcher: Watcher, sim: SimulatorClient, view: BusView, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.create_service("pair", labels=SHOP, replicas=1, networks=["web"])
    until("pair is there", lambda: view.serving("pair") == 1)
    really = watcher.watch.view._translate

    def fails_for_shop(raw: object, *more: object) -> object:
        if raw.spec.name == "shop":  # type: ignore[attr-defined]  # a RawService
            raise ValueError("cannot be")
        return really(raw, *more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(watcher.watch.view, "_translate", fails_for_shop)
    sim.scale("shop", 3)
    sim.scale("pair", 2)
    until("pair goes on", lambda: view.serving("pair") == 2)
    assert view.serving("shop") == 2
    until("it is said", lambda: "cannot be" in str(view.status() and view.status().unreadable))
    monkeypatch.undo()
    sim.scale("shop", 4)
    until("shop goes on", lambda: view.serving("shop") == 4)


def test_what_happened_before_the_stream_opened_again_is_listed(
    sim: SimulatorClient, server: Server, view: BusView
) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    sim.wait_converged("shop")
    with running_watcher(sim.docker_url, server.url, poll_interval=60) as watcher:
        until("shop is on the bus", lambda: view.serving("shop") == 2)
        until("the stream is open", lambda: watcher.watch.health.events_connected)
        number = sim.fault("drop_events")
        sim.set_labels("shop", {"com.docker.lb.port": "9090"})
        sim.clear(number)
        sim.fault("cut_events", count=1)
        sim.create_network("another")
        until("the label", lambda: view.services()["shop"].labels["com.docker.lb.port"] == "9090")


@pytest.mark.parametrize(
    "fault", [{"kind": "error", "status": 500}, {"kind": "slow", "delay": 60}], ids=["500", "hangs"]
)
def test_one_service_that_cannot_be_read_keeps_no_other_waiting(
    sim: SimulatorClient, server: Server, view: BusView, monkeypatch: pytest.MonkeyPatch, fault: dict[str, object]
) -> None:
    monkeypatch.setattr(docker_source, "SERVICE_TIMEOUT", 0.5)
    bad = sim.create_service("bad", labels=SHOP, replicas=1, networks=["web"])
    sim.create_service("good", labels=SHOP, replicas=1, networks=["web"])
    # A listing that costs much, and none soon: only single reads can tell what changes.
    sim.fault("slow", path="/services", delay=1.0)
    with running_watcher(sim.docker_url, server.url, poll_interval=60):
        until("both serve", lambda: view.serving("bad") == view.serving("good") == 1)
        number = sim.fault(path=f"/services/{bad}", **fault)  # type: ignore[arg-type]  # the kind is among them
        sim.set_labels("bad", {"com.docker.lb.port": "9090"})
        sim.scale("good", 2)
        view.await_serving("good", 2)
        until("it is said", lambda: bad in unreadable(view))
        status = view.status()
        assert status
        assert status.stale_since is None, "one service is not the region"
        sim.scale("good", 3)
        view.await_serving("good", 3)
        sim.clear(number)
        until("the label", lambda: view.services()["bad"].labels["com.docker.lb.port"] == "9090")
        until("nothing is unreadable", lambda: not unreadable(view))


def unreadable(view: BusView) -> dict[str, str]:
    status = view.status()
    return status.unreadable if status else {}


def test_a_stream_on_which_nothing_comes_is_opened_anew_in_order(
    sim: SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_source, "STREAM_SILENCE", 0.3)
    source = DockerSource(sim.docker_url)
    events = source.events()
    assert [next(events), next(events), next(events)] == [None, None, None]
    sim.create_service("shop", labels=SHOP, replicas=1, networks=["web"])
    # The second is of the virtual IP that Swarm gives it.
    heard = (event.action for event in events if event and event.type == "service")
    assert [next(heard), next(heard)] == ["create", "update"]
    source.close()
    assert list(events) == []


def test_no_hint_is_lost_between_the_look_and_its_reset(sim: SimulatorClient) -> None:
    stop = threading.Event()
    watch = Watch(lambda: DockerSource(sim.docker_url), Inbox(), stop, poll_interval=60)
    reader = threading.Thread(target=watch._read_hinted_others)
    with watch.lock:
        watch._nodes_hinted = True
        reader.start()
        # Who resets it without the lock does so in this time, and would erase what is heard just then.
        reader.join(0.5)
        assert watch._nodes_hinted
    reader.join()
    assert not watch._nodes_hinted
    assert watch.view.nodes
    watch.close()
