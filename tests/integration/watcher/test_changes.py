"""What happens in the Swarm appears on the bus: whole, soon, and with its cause."""

from __future__ import annotations

import time

from interlock.bus import keys
from interlock.bus.follower import Follower
from interlock.bus.state import Entry
from interlock.model.names import Cluster
from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server
from support.watcher_lab import BusView, running_watcher, until

SHOP = {"com.docker.lb.hosts": "shop.local", "com.docker.lb.port": "8080", "other": "label"}


def test_services_that_exist_are_listed_and_marked_complete(
    sim: SimulatorClient, server: Server, view: BusView
) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    sim.create_service("database", networks=["web"])
    sim.wait_converged("shop")
    with running_watcher(sim.docker_url, server.url):
        until("shop is on the bus", lambda: view.serving("shop") == 2)
        snapshot = view.snapshot()
        assert snapshot.complete
        assert list(view.services()) == ["shop"]
        shop = view.services()["shop"]
        assert shop.labels == {k: v for k, v in SHOP.items() if k != "other"}
        [network] = [network for network in shop.networks if network.name == "web"]
        assert network.vip
        for task in shop.tasks:
            assert task.addresses[network.id].count(".") == 3


def test_create_scale_relabel_and_remove_appear(sim: SimulatorClient, server: Server, view: BusView) -> None:
    with running_watcher(sim.docker_url, server.url, poll_interval=60):
        until("the watcher acts", view.status)
        sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
        until("two tasks serve", lambda: view.serving("shop") == 2)
        sim.scale("shop", 4)
        until("four tasks serve", lambda: view.serving("shop") == 4)
        sim.set_labels("shop", {"com.docker.lb.port": "9090"})
        until("the label", lambda: view.services()["shop"].labels["com.docker.lb.port"] == "9090")
        sim.set_labels("shop", dict.fromkeys(SHOP))
        until("a service without our labels is gone", lambda: not view.services())
        sim.set_labels("shop", SHOP)
        view.await_serving("shop", 4)
        sim.remove("shop")
        until("the removed service is gone", lambda: not view.services())
        assert view.snapshot().complete


def test_draining_is_seen_long_before_the_signal(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=3, networks=["web"])
    sim.wait_converged("shop")
    with running_watcher(sim.docker_url, server.url, poll_interval=60):
        until("three tasks serve", lambda: view.serving("shop") == 3)
        began = time.time()
        sim.update("shop", env={"APP_VERSION": "2"}, config={"Parallelism": 3})
        draining = until(
            "draining tasks", lambda: [t for t in view.services()["shop"].tasks if t.draining_since is not None]
        )
        seen = time.time()
        assert all(began <= (t.draining_since or 0) <= seen for t in draining)
        signals = until(
            "SIGTERM", lambda: [s for t in sim.tasks("shop") if (s := t["sigterm"] or 0) > began], timeout=5
        )
        assert seen < min(signals)
        sim.wait_converged("shop")
        until("three new tasks serve", lambda: view.serving("shop") == 3)


def test_a_crash_without_any_event_is_found_by_polling(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"], restart_policy={"Condition": "none"})
    sim.wait_converged("shop")
    with running_watcher(sim.docker_url, server.url, poll_interval=0.3):
        until("two tasks serve", lambda: view.serving("shop") == 2)
        sim.crash("shop")
        until("one task serves", lambda: view.serving("shop") == 1)


def test_a_change_carries_the_event_that_caused_it(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=1, networks=["web"])
    sim.wait_converged("shop")
    follower = Follower(view.bus, [keys.services(Cluster("default", ""))])
    with running_watcher(sim.docker_url, server.url, poll_interval=60):
        until("a task serves", lambda: view.serving("shop") == 1)
        while follower.poll(0.3):
            pass
        sim.set_labels("shop", {"com.docker.lb.port": "9090"})
        [(_, entry), *_] = until("an entry", lambda: follower.poll(2.0))
    assert isinstance(entry, Entry)
    [cause] = entry.trail.causes
    assert cause.kind == "event"
    assert cause.id.startswith("docker-")
    assert "service update shop" in cause.what
    hops = entry.trail.hops
    assert cause.at == hops["docker"] <= hops["seen"] <= hops["published"] < hops["docker"] + 1


def test_nothing_is_published_when_nothing_relevant_changes(
    sim: SimulatorClient, server: Server, view: BusView
) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    sim.create_service("database", networks=["web"])
    sim.wait_converged("shop")
    with running_watcher(sim.docker_url, server.url, poll_interval=0.1) as watcher:
        until("two tasks serve", lambda: view.serving("shop") == 2)
        before = view.snapshot().version
        sim.scale("database", 3)
        sim.wait_converged("database")
        listings = watcher.watch.health.counters["listings"]
        until("more listings", lambda: watcher.watch.health.counters["listings"] > listings + 3)
        assert view.snapshot().version == before


def test_a_node_that_goes_down_takes_its_endpoints_along(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=None, networks=["web"])
    nodes = [node["Description"]["Hostname"] for node in sim.call("GET", "/nodes")]
    sim.wait_converged("shop")
    with running_watcher(sim.docker_url, server.url, poll_interval=60):
        until("a task on each node", lambda: view.serving("shop") == len(nodes))
        sim.node_state(nodes[-1], "down")
        until("one fewer", lambda: view.serving("shop") == len(nodes) - 1)
