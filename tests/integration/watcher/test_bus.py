"""Two watchers, moves between clusters, and a bus that loses everything."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from interlock.bus import keys
from interlock.bus.registry import Registry
from interlock.bus.state import StateWriter, entry_of
from interlock.errors import Fenced
from interlock.model.names import Cluster
from interlock.model.swarm import Service
from interlock.model.version import Token
from interlock.wire.trail import Trail
from interlock_simulator.client import SimulatorClient
from support.bus_servers import Server
from support.watcher_lab import BusView, running_watcher, spawn_watcher, until

SHOP = {"com.docker.lb.hosts": "shop.local", "com.docker.lb.port": "8080"}
CLUSTER = "com.docker.lb.service_cluster"


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def owner(view: BusView) -> str:
    status = view.status()
    return status.owner.partition("#")[0] if status and time.time() - status.at < 1.5 else ""


def test_the_standby_takes_over_within_two_seconds(
    sim: SimulatorClient, server: Server, view: BusView, tmp_path: Path
) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    sim.wait_converged("shop")
    first = spawn_watcher(sim.docker_url, server.url, tmp_path / "first.log", "--name", "first")
    try:
        until("the first acts", lambda: view.serving("shop") == 2 and owner(view) == "first")
        with running_watcher(sim.docker_url, server.url, name="second") as second:
            until("the second has listed", lambda: second.watch.health.last_listing)
            assert not second.publisher.acting
            version = view.snapshot().version
            killed(first)
            gone = time.monotonic()
            sim.scale("shop", 3)
            until("the change is published", lambda: view.services()["shop"].replicas == 3, timeout=4)
            assert time.monotonic() - gone <= 2.0
            assert second.publisher.acting
            until("three tasks serve", lambda: view.serving("shop") == 3)
            now = view.snapshot().version
            assert version
            assert now
            assert now.generation == version.generation
    finally:
        killed(first)


def test_a_watcher_that_cannot_read_docker_lets_another_act(
    sim: SimulatorClient, server: Server, view: BusView, tmp_path: Path
) -> None:
    sim.create_service("shop", labels=SHOP, replicas=1, networks=["web"])
    with running_watcher(f"unix://{tmp_path}/nobody.sock", server.url, name="blind") as blind:
        until("alone, it says that nothing is known", lambda: owner(view) == "blind")
        with running_watcher(sim.docker_url, server.url, name="sighted") as sighted:
            until("the sighted one acts", lambda: sighted.publisher.acting, timeout=20)
            until("what it reads is published", lambda: view.serving("shop") == 1)
            time.sleep(1.5)
            assert owner(view) == "sighted"
            assert not blind.publisher.acting


def test_one_acts_and_the_one_that_ends_hands_over_at_once(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url, name="first") as first:
        until("the first acts", lambda: first.publisher.acting)
        with running_watcher(sim.docker_url, server.url, name="second") as second:
            until("the second has listed", lambda: second.watch.health.last_listing)
            assert first.publisher.acting
            assert not second.publisher.acting
            sim.scale("shop", 2)
            until("published once", lambda: view.serving("shop") == 2)
            assert second.publisher.counters.get("changes_published", 0) == 0
    assert owner(view) == "first"


def test_a_fenced_watcher_leases_again_and_goes_on(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url, poll_interval=60) as watcher:
        until("a task serves", lambda: view.serving("shop") == 1)
        intruder = StateWriter(view.bus, keys.services(Cluster("default", "")))
        intruder.fence(Token(epoch=2**52, nonce="intruder"))
        sim.scale("shop", 2)
        until("it goes on", lambda: view.serving("shop") == 2)
        assert watcher.publisher.counters["fenced"] >= 1


def test_a_flush_heals_in_well_under_a_second(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    sim.create_service("inner", labels={**SHOP, CLUSTER: "inner"}, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url, poll_interval=60):
        until("both are there", lambda: view.serving("shop") == 2 and view.serving("inner", "inner") == 1)
        before = view.snapshot().version
        view.bus.command("FLUSHALL")
        flushed = time.monotonic()
        until("both are back", lambda: view.serving("shop") == 2 and view.serving("inner", "inner") == 1)
        assert time.monotonic() - flushed < 0.9
        after = view.snapshot()
        assert after.complete
        assert before
        assert after.version
        assert after.version.generation != before.generation
        assert {c.name for c in Registry(view.bus).clusters()} == {"", "inner"}


def test_a_partition_alone_that_is_lost_is_found_at_the_next_poll(
    sim: SimulatorClient, server: Server, view: BusView
) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    with running_watcher(sim.docker_url, server.url, poll_interval=0.3):
        until("two tasks serve", lambda: view.serving("shop") == 2)
        view.bus.command("DEL", keys.services(Cluster("default", "")).state)
        until("it is back", lambda: view.serving("shop") == 2, timeout=2)
        assert view.snapshot().complete


def test_the_bus_away_and_back_with_an_older_state(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=2, networks=["web"])
    with running_watcher(sim.docker_url, server.url, poll_interval=0.5):
        until("two tasks serve", lambda: view.serving("shop") == 2)
        server.kill()
        sim.scale("shop", 3)
        sim.wait_converged("shop")
        server.start()
        until("three tasks serve", lambda: view.serving("shop") == 3)
        sim.remove("shop")
        until("it follows again", lambda: not view.services())


def places(view: BusView, service_id: str, *clusters: str) -> list[set[str]]:
    """The clusters that held the service, after each entry of their logs, in the order in which they were written."""
    steps: list[tuple[float, str, bool]] = []
    for name in clusters:
        for entry_id, fields in view.bus.command("XRANGE", keys.services(Cluster("default", name)).log, "-", "+"):
            entry = entry_of(entry_id, fields)
            assert entry
            # Entry ids count milliseconds, in which both writes may fall.
            at = entry.trail.hops["published"]
            steps += [(at, name, bool(c.after)) for c in entry.changes if c.field == service_id]
    held: set[str] = set()
    history: list[set[str]] = []
    for _, name, there in sorted(steps):
        held = held | {name} if there else held - {name}
        history.append(held)
    return history


def test_a_service_that_moves_is_never_in_no_cluster(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels={**SHOP, CLUSTER: "a"}, replicas=1, networks=["web"])
    sim.create_service("anchor", labels={**SHOP, CLUSTER: "b"}, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url, poll_interval=60):
        until("placed", lambda: view.serving("shop", "a") == 1 and view.serving("anchor", "b") == 1)
        id_ = view.services("a")["shop"].id
        sim.set_labels("shop", {CLUSTER: "b"})
        until("moved", lambda: "shop" not in view.services("a"))
    history = places(view, id_, "a", "b")
    assert set() not in history
    assert {"a", "b"} in history
    assert history[-1] == {"b"}


def test_a_move_that_is_taken_back_while_it_is_written(
    sim: SimulatorClient, server: Server, view: BusView, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.create_service("shop", labels={**SHOP, CLUSTER: "a"}, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url, poll_interval=60) as watcher:
        until("placed", lambda: view.serving("shop", "a") == 1)
        id_ = view.services("a")["shop"].id
        present = watcher.watch.present

        def cluster() -> str:
            return present([id_])[id_].labels[CLUSTER]  # type: ignore[union-attr]  # it is there all the time

        def late(ids: Iterable[str]) -> dict[str, Service | None]:
            found = present(ids)
            if any(service and service.labels[CLUSTER] == "b" for service in found.values()):
                sim.set_labels("shop", {CLUSTER: "a"})
                until("it is known to be back", lambda: cluster() == "a")
            return found

        monkeypatch.setattr(watcher.watch, "present", late)
        sim.set_labels("shop", {CLUSTER: "b"})
        until("there and back", lambda: {"b"} in places(view, id_, "a", "b") or len(places(view, id_, "a", "b")) > 2)
        until("back", lambda: places(view, id_, "a", "b")[-1] == {"a"})
        assert set() not in places(view, id_, "a", "b")


def test_services_that_swapped_clusters_while_nobody_watched(
    sim: SimulatorClient, server: Server, view: BusView
) -> None:
    sim.create_service("shop", labels={**SHOP, CLUSTER: "a"}, replicas=1, networks=["web"])
    sim.create_service("other", labels={**SHOP, CLUSTER: "b"}, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url):
        until("placed", lambda: view.serving("shop", "a") == 1 and view.serving("other", "b") == 1)
    ids = [view.services("a")["shop"].id, view.services("b")["other"].id]
    sim.set_labels("shop", {CLUSTER: "b"})
    sim.set_labels("other", {CLUSTER: "a"})
    with running_watcher(sim.docker_url, server.url):
        until("moved", lambda: set(view.services("a")) == {"other"} and set(view.services("b")) == {"shop"})
    for id_ in ids:
        assert set() not in places(view, id_, "a", "b")


def test_a_crash_in_the_middle_of_a_move_is_made_good(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels={**SHOP, CLUSTER: "a"}, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url):
        until("placed", lambda: view.serving("shop", "a") == 1)
    # As a watcher leaves it that dies between the two writes: in both.
    snapshot = view.snapshot("a")
    Registry(view.bus).register(Cluster("default", "b"))
    other = StateWriter(view.bus, keys.services(Cluster("default", "b")))
    other.replace(snapshot.fields, token=Token(epoch=1, nonce="dead"), trail=Trail().hop("published", time.time()))
    sim.set_labels("shop", {CLUSTER: "b"})
    with running_watcher(sim.docker_url, server.url):
        until("in one", lambda: not view.services("a") and view.serving("shop", "b") == 1)
    assert set() not in places(view, next(iter(snapshot.fields)), "a", "b")


def test_a_watcher_killed_in_mid_relisting_loses_no_service(
    sim: SimulatorClient, server: Server, view: BusView, tmp_path: Path
) -> None:
    for cluster in ("a", "b", "c"):
        sim.create_service(f"shop-{cluster}", labels={**SHOP, CLUSTER: cluster}, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url):
        until("all placed", lambda: all(view.serving(f"shop-{c}", c) == 1 for c in "abc"))
    sim.fault("slow", path="/services", delay=0.7)
    for _ in range(3):
        process = spawn_watcher(sim.docker_url, server.url, tmp_path / "killed.log")
        try:
            until("it has begun its term", lambda: owner(view) and lease_is_held(view), timeout=10)
        finally:
            killed(process)
        for cluster in "abc":
            snapshot = view.snapshot(cluster)
            assert snapshot.complete
            assert list(view.services(cluster)) == [f"shop-{cluster}"]
        until("the lease ran out", lambda: not lease_is_held(view))
    sim.clear()
    with running_watcher(sim.docker_url, server.url):
        sim.scale("shop-a", 2)
        until("it goes on", lambda: view.serving("shop-a", "a") == 2)


def lease_is_held(view: BusView) -> bool:
    until_ms = view.bus.command("HGET", keys.region_lease("default", "watcher"), "until")
    return until_ms is not None and int(until_ms) / 1000 > view.bus.server_time()


def test_the_last_service_of_a_cluster_leaves_a_complete_empty_state(
    sim: SimulatorClient, server: Server, view: BusView
) -> None:
    sim.create_service("shop", labels={**SHOP, CLUSTER: "a"}, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url):
        until("placed", lambda: view.serving("shop", "a") == 1)
    sim.remove("shop")
    with running_watcher(sim.docker_url, server.url):
        until("gone", lambda: not view.services("a"))
        snapshot = view.snapshot("a")
        assert snapshot.complete
        assert snapshot.version is not None
        assert Cluster("default", "a") in Registry(view.bus).clusters()


def test_nothing_is_written_without_the_fence_of_the_term(sim: SimulatorClient, server: Server, view: BusView) -> None:
    sim.create_service("shop", labels=SHOP, replicas=1, networks=["web"])
    with running_watcher(sim.docker_url, server.url) as watcher:
        until("a task serves", lambda: view.serving("shop") == 1)
        until("it acts", lambda: watcher.publisher.acting)
    late = StateWriter(view.bus, keys.services(Cluster("default", "")))
    late.read()
    with pytest.raises(Fenced):
        late.write({"x": b"y"}, token=Token(epoch=1, nonce="old"), trail=Trail())


def test_a_cluster_that_the_bus_refuses_keeps_no_other_waiting(
    sim: SimulatorClient, server: Server, view: BusView
) -> None:
    """East's log takes nothing any more; west is written all the same, in changes, in listings and in a new term."""
    for name in ("east", "west"):
        sim.create_service(name, labels={**SHOP, CLUSTER: name}, replicas=1, networks=["web"])
        sim.wait_converged(name)

    def replicas() -> int | None:
        service = view.services("west").get("west")
        return service.replicas if service else None

    with running_watcher(sim.docker_url, server.url, poll_interval=2.0):
        until("west is published", lambda: replicas() == 1)
        log = keys.services(Cluster("default", "east")).log
        view.bus.command("XADD", log, "18446744073709551615-18446744073709551615", "the", "end")
        sim.scale("east", 2)
        sim.scale("west", 2)
        until("west's change is published", lambda: replicas() == 2)
        sim.scale("west", 3)
        until("and the next", lambda: replicas() == 3)
    with running_watcher(sim.docker_url, server.url):
        sim.scale("west", 4)
        until("in a new term too", lambda: replicas() == 4)
