"""The region as known: tickets, absence, what is due, and one bad service among good ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.model.swarm import Service
from interlock_watcher.engine import Listing, RawNetwork, RawNode, RawService, RawTask
from interlock_watcher.translate import translate
from interlock_watcher.view import OLDER_INDEX_FOR, View

LABELS = {"com.docker.lb.hosts": "a.local"}
NOW = 1_000_000.0


def service(id_: str = "s1", index: int = 1, labels: dict[str, str] | None = None, replicas: int = 1) -> RawService:
    return msgspec.convert(
        {
            "ID": id_,
            "Version": {"Index": index},
            "CreatedAt": "2026-01-01T00:00:00Z",
            "Spec": {
                "Name": id_,
                "Labels": LABELS if labels is None else labels,
                "Mode": {"Replicated": {"Replicas": replicas}},
                "TaskTemplate": {"Networks": [{"Target": "n1"}]},
            },
        },
        RawService,
    )


def task(id_: str = "t1", of: str = "s1", state: str = "running", desired: str = "running", **more: Any) -> RawTask:
    values = {
        "ID": id_,
        "ServiceID": of,
        "NodeID": "node1",
        "Status": {"State": state},
        "DesiredState": desired,
        **more,
    }
    return msgspec.convert(values, RawTask)


def node(state: str = "ready") -> RawNode:
    return msgspec.convert({"ID": "node1", "Status": {"State": state, "Addr": "192.0.2.1"}}, RawNode)


def listing(*services: RawService, tasks: tuple[RawTask, ...] = (), unreadable: tuple[str, ...] = ()) -> Listing:
    return Listing(services=services, tasks=tasks, nodes=(node(),), unreadable=frozenset(unreadable))


def listed(*services: RawService, tasks: tuple[RawTask, ...] = ()) -> View:
    view = View()
    view.apply_listing(view.begin(), NOW, listing(*services, tasks=tasks))
    return view


def test_a_listing_makes_it_complete_and_tells_what_changed() -> None:
    view = View()
    assert not view.complete
    ticket = view.begin()
    changes, absent = view.apply_listing(ticket, NOW, listing(service("s1"), service("s2", labels={"x": "y"})))
    assert set(changes) == {"s1"}
    assert absent == []
    assert view.complete_ticket == ticket
    changes, _ = view.apply_listing(view.begin(), NOW, listing(service("s1")))
    assert changes == {}


def test_an_older_ticket_never_overwrites_a_newer_one() -> None:
    view = listed(service(index=1))
    old, new = view.begin(), view.begin()
    assert view.apply_service(new, NOW, service(index=3, replicas=3), ())
    assert not view.apply_service(old, NOW, service(index=2), ())
    assert view.services["s1"].index == 3
    changes, absent = view.apply_listing(old, NOW, listing(service(index=2)))
    assert (changes, absent) == ({}, [])
    assert view.services["s1"].index == 3


def test_a_read_that_began_before_the_removal_does_not_bring_it_back() -> None:
    view = listed(service())
    view.removed("s1", NOW)
    old, new = view.begin(), view.begin()
    assert view.apply_absent(new, NOW, "s1")
    assert not view.apply_service(old, NOW, service(), ())
    assert view.services == {}
    assert view.apply_service(view.begin(), NOW, service(), ())


def test_absence_in_a_listing_alone_withdraws_nothing() -> None:
    view = listed(service())
    changes, absent = view.apply_listing(view.begin(), NOW, listing())
    assert changes == {}
    assert absent == ["s1"]
    assert "s1" in view.services
    assert view.apply_absent(view.begin(), NOW, "s1")
    assert view.services == {}


def test_a_service_that_was_touched_since_the_listing_began_is_not_absent() -> None:
    view = listed(service())
    ticket = view.begin()
    view.touch("s1", NOW)
    assert view.apply_listing(ticket, NOW, listing())[1] == []
    # Nor is one that was read since.
    ticket = view.begin()
    view.apply_service(view.begin(), NOW, service(), ())
    assert view.apply_listing(ticket, NOW, listing())[1] == []


def test_a_404_that_is_older_than_a_read_counts_for_nothing() -> None:
    view = listed(service())
    old = view.begin()
    view.apply_service(view.begin(), NOW, service(), ())
    assert not view.apply_absent(old, NOW, "s1")
    assert "s1" in view.services


def test_a_manager_that_lags_is_not_believed_until_it_insists() -> None:
    view = listed(service(index=9))
    assert not view.apply_service(view.begin(), NOW, service(index=8, replicas=5), ())
    assert view.services["s1"].index == 9
    view.touch("s1", NOW)
    assert not view.apply_service(view.begin(), NOW, service(index=8, replicas=5), ())
    assert view.next_due() == pytest.approx(NOW + 0.1, rel=0, abs=1e-3), "asked again after a pause, not at once"
    assert not view.apply_service(view.begin(), NOW + 1, service(index=8, replicas=5), ())
    assert view.apply_service(view.begin(), NOW + OLDER_INDEX_FOR + 1, service(index=8, replicas=5), ())


def test_losing_our_labels_withdraws() -> None:
    view = listed(service())
    assert view.apply_service(view.begin(), NOW, service(labels={"x": "y"}, index=2), ())
    assert view.services == {}


def test_draining_is_dated_at_first_sight_and_kept() -> None:
    view = listed(service(), tasks=(task(),))
    leaving = task(desired="shutdown")
    view.apply_service(view.begin(), NOW + 1, service(), (leaving,))
    view.apply_service(view.begin(), NOW + 2, service(index=2), (leaving,))
    assert view.services["s1"].tasks[0].draining_since == NOW + 1


def test_a_task_that_drains_keeps_the_ports_that_docker_says_no_more_of() -> None:
    ports = [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 31000, "PublishMode": "host"}]
    view = listed(service(), tasks=(task(Status={"State": "running", "PortStatus": {"Ports": ports}}),))
    view.apply_service(view.begin(), NOW + 1, service(), (task(desired="shutdown"),))
    assert [port.published for port in view.services["s1"].tasks[0].ports] == [31000]
    # Also at the next look, and no change is seen in it.
    assert view.apply_service(view.begin(), NOW + 2, service(), (task(desired="shutdown"),)) == {}
    assert [port.published for port in view.services["s1"].tasks[0].ports] == [31000]
    # One that is wanted has what Docker says.
    view.apply_service(view.begin(), NOW + 3, service(), (task(),))
    assert view.services["s1"].tasks[0].ports == ()


def test_a_former_owner_may_have_seen_the_draining_earlier() -> None:
    former = listed(service(), tasks=(task(desired="shutdown"),)).services.values()
    view = View()
    view.seed_drains(former, NOW + 4)
    view.apply_listing(view.begin(), NOW + 5, listing(service(), tasks=(task(desired="shutdown"),)))
    assert view.services["s1"].tasks[0].draining_since == NOW
    late = View()
    late.apply_listing(late.begin(), NOW + 5, listing(service(), tasks=(task(desired="shutdown"),)))
    assert late.seed_drains(former, NOW + 6)
    assert late.services["s1"].tasks[0].draining_since == NOW


def test_nodes_and_networks_touch_the_services_that_use_them() -> None:
    view = listed(service(), service("s2"), tasks=(task(),))
    assert set(view.apply_nodes(view.begin(), NOW, (node("down"),))) == {"s1"}
    assert view.services["s1"].tasks[0].node_down
    web = msgspec.convert({"Id": "n1", "Name": "web", "Driver": "overlay"}, RawNetwork)
    assert set(view.apply_networks(view.begin(), NOW, (web,))) == {"s1", "s2"}
    assert view.services["s2"].networks[0].name == "web"
    late = view.begin() - 5
    assert view.apply_nodes(late, NOW, (node(),)) == {}


def test_nodes_unknown() -> None:
    view = listed(service(), tasks=(task(),))
    assert not view.nodes_unknown
    assert view.apply_nodes(view.begin(), NOW, (node("unknown"),)) == {}
    assert view.nodes_unknown


def test_what_has_settled_is_not_due() -> None:
    view = listed(service(), tasks=(task(),))
    assert view.next_due() is None
    view.touch("s1", NOW)
    assert view.due(NOW) == ["s1"]
    view.apply_service(view.begin(), NOW, service(), (task(),))
    assert view.due(NOW) == []
    assert view.next_due() == pytest.approx(NOW + 0.1, rel=0, abs=1e-3)
    view.apply_service(view.begin(), NOW + 16, service(), (task(),))
    assert view.next_due() is None
    assert view.unsettled == ()


def test_a_node_event_makes_its_services_due() -> None:
    view = listed(service(), service("s2"), tasks=(task(), task("t2", of="s2", NodeID="node2")))
    view.touch_node("node1", NOW + 100)
    assert view.due(NOW + 100) == ["s1"]


def test_tasks_that_miss_are_due() -> None:
    view = listed(service(replicas=2), tasks=(task(),))
    assert view.unsettled == ("s1",)
    view.postpone(["s1"], NOW + 9)
    assert view.due(NOW + 8) == []
    assert view.due(NOW + 9) == ["s1"]


def test_one_service_that_cannot_be_translated_keeps_its_last_state() -> None:
    def picky(raw: RawService, *more: Any) -> Service:
        if raw.version.index == 2:
            raise ValueError("no sense")
        return translate(raw, *more)

    view = View(picky)
    view.apply_listing(view.begin(), NOW, listing(service("s1"), service("s2")))
    changes, _ = view.apply_listing(
        view.begin(), NOW, listing(service("s1", index=2), service("s2", index=3, replicas=3))
    )
    assert set(changes) == {"s2"}
    assert view.services["s1"].index == 1
    assert "no sense" in view.unreadable["s1"]
    view.apply_listing(view.begin(), NOW, listing(service("s1", index=4), service("s2", index=3)))
    assert view.unreadable == {}


def test_an_edit_that_means_nothing_for_routing_is_no_change() -> None:
    view = listed(service(index=1))
    assert view.apply_service(view.begin(), NOW, service(index=2, labels={**LABELS, "team": "blue"}), ()) == {}
    assert view.services["s1"].index == 2


def test_what_a_listing_could_not_read_is_not_absent() -> None:
    view = listed(service("s1"), service("s2"))
    _, absent = view.apply_listing(view.begin(), NOW, listing(service("s2"), unreadable=("s1",)))
    assert absent == []
    assert "s1" in view.services
    assert "s1" in view.unreadable


def test_docker_says_when_a_task_changed() -> None:
    view = listed(service(), tasks=(task(state="starting"),))
    status = {"State": "running", "Timestamp": "1970-01-12T13:46:39.5Z"}
    changes = view.apply_service(view.begin(), NOW, service(), (task(Status=status),))
    assert changes["s1"].docker_at == NOW - 0.5
    gone = task(Status=status, DesiredState="shutdown", UpdatedAt="1970-01-12T13:00:00Z")
    assert view.apply_service(view.begin(), NOW, service(), (gone,))["s1"].docker_at is None
