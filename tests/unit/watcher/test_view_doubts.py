"""The region as known when Docker says implausible things: nothing goes on the strength of one answer."""

from __future__ import annotations

import msgspec
import pytest

from interlock_watcher.engine import Listing, RawNetwork, RawNode, RawService, RawTask
from interlock_watcher.plausibility import AGAIN
from interlock_watcher.view import OLDER_INDEX_FOR, View

NOW = 1_000_000.0
IDS = ("a", "b", "c", "d", "e")


def service(id_: str, index: int = 1, *, ours: bool = True, replicas: int = 1) -> RawService:
    return msgspec.convert(
        {
            "ID": id_,
            "Version": {"Index": index},
            "CreatedAt": "",
            "Spec": {
                "Name": id_,
                "Labels": {"com.docker.lb.hosts" if ours else "team": "x"},
                "Mode": {"Replicated": {"Replicas": replicas}},
                "TaskTemplate": {"Networks": [{"Target": "net"}]},
            },
        },
        RawService,
    )


def task(of: str, desired: str = "running") -> RawTask:
    values = {"ID": f"t-{of}", "ServiceID": of, "NodeID": "node", "Status": {"State": "running"}}
    return msgspec.convert({**values, "DesiredState": desired}, RawTask)


def node(id_: str = "node", state: str = "ready") -> RawNode:
    return msgspec.convert({"ID": id_, "Status": {"State": state}}, RawNode)


NET = msgspec.convert({"Id": "net", "Name": "web", "Driver": "overlay"}, RawNetwork)


def listing(services: str = "abcde", tasks: str = "abcde", *, index: int = 1, at: str = "node") -> Listing:
    return Listing(
        services=tuple(service(id_, index) for id_ in services),
        tasks=tuple(task(id_) for id_ in tasks),
        nodes=(node(at),),
        networks=(NET,),
    )


@pytest.fixture
def view() -> View:
    view = View()
    view.apply_listing(view.begin(), NOW, listing())
    return view


def serving(view: View) -> str:
    return "".join(id_ for id_, known in sorted(view.services.items()) if any(task.wanted for task in known.tasks))


def test_a_listing_that_lost_most_is_held_back_and_the_rest_goes_on(view: View) -> None:
    changes, absent = view.apply_listing(view.begin(), NOW + 1, listing("ab", "ab", index=2))
    assert absent == []
    assert changes == {}
    assert view.services["a"].index == 2, "what is there is followed"
    assert serving(view) == "abcde"
    assert view.doubts.since == NOW + 1
    _, absent = view.apply_listing(view.begin(), NOW + 2, listing("ab", "ab", index=2))
    assert absent == ["c", "d", "e"], "the second reading has it looked at directly"
    for id_ in absent:
        assert view.apply_absent(view.begin(), NOW + 2, id_)
    assert serving(view) == "ab"


def test_a_listing_that_follows_at_once_confirms_nothing(view: View) -> None:
    view.apply_listing(view.begin(), NOW + 1, listing("ab", "ab"))
    assert view.apply_listing(view.begin(), NOW + 9, listing("ab", "ab"), began=NOW + 1 + AGAIN / 2)[1] == []


def test_what_events_removed_is_not_doubted(view: View) -> None:
    for id_ in "bcde":
        view.removed(id_, NOW + 1)
    assert view.apply_absent(view.begin(), NOW + 1, "b")
    _, absent = view.apply_listing(view.begin(), NOW + 1, listing("a", "a"))
    assert absent == ["c", "d", "e"]
    assert view.doubts.since is None


def test_a_direct_404_alone_withdraws_nothing_but_has_everything_listed(view: View) -> None:
    for id_ in IDS:
        view.touch(id_, NOW)
        assert view.apply_absent(view.begin(), NOW, id_) == {}
    assert serving(view) == "abcde"
    assert view.listing_wanted
    assert view.due(NOW + AGAIN / 2) == [], "not asked again and again meanwhile"


def test_services_whose_tasks_are_all_missing_at_once_are_held_back(view: View) -> None:
    changes, _ = view.apply_listing(view.begin(), NOW + 1, listing(tasks=""))
    assert changes == {}
    assert serving(view) == "abcde"
    assert "5 of 5 services that served are missing or without any task" in view.doubts.reason
    changes, _ = view.apply_listing(view.begin(), NOW + 2, listing(tasks=""))
    assert set(changes) == set(IDS)
    assert serving(view) == ""


def test_tasks_that_docker_says_are_to_stop_are_never_held_back(view: View) -> None:
    """Whoever is about to be stopped must be let go at once, however many they are."""
    everything = listing(tasks="")
    leaving = msgspec.structs.replace(everything, tasks=tuple(task(id_, "shutdown") for id_ in IDS))
    changes, _ = view.apply_listing(view.begin(), NOW + 1, leaving)
    assert set(changes) == set(IDS)
    assert serving(view) == ""
    assert view.doubts.since is None


def test_services_that_are_scaled_to_zero_lose_their_tasks_at_once(view: View) -> None:
    zero = Listing(services=tuple(service(i, 2, replicas=0) for i in IDS), nodes=(node(),), networks=(NET,))
    assert set(view.apply_listing(view.begin(), NOW + 1, zero)[0]) == set(IDS)
    assert view.doubts.since is None


def test_a_direct_read_without_any_task_is_for_a_listing_to_confirm(view: View) -> None:
    assert view.apply_service(view.begin(), NOW, service("a"), ()) == {}
    assert view.listing_wanted
    assert serving(view) == "abcde"
    view.apply_listing(view.begin(), NOW + 1, listing(tasks="bcde"))
    assert serving(view) == "bcde", "one of five may be"


def test_labels_are_lost_by_an_update_only(view: View) -> None:
    assert view.apply_service(view.begin(), NOW, service("a", ours=False), (task("a"),)) == {}
    assert "a" in view.services
    late = NOW + OLDER_INDEX_FOR
    assert view.apply_service(view.begin(), late, service("a", ours=False), (task("a"),)), "it insists"
    assert view.apply_service(view.begin(), NOW, service("b", 2, ours=False), (task("b"),))


def test_another_swarm_is_believed_in_nothing_until_it_insists(view: View) -> None:
    other = Listing(services=(service("x"),), tasks=(task("x"),), nodes=(node("other"),))
    assert view.apply_listing(view.begin(), NOW + 1, other) == ({}, [])
    assert view.withheld
    assert serving(view) == "abcde"
    assert view.apply_nodes(view.begin(), NOW + 1, (node("other"),)) == {}
    assert set(view.nodes) == {"node"}
    changes, absent = view.apply_listing(view.begin(), NOW + 2, other)
    assert set(changes) == {"x"}
    assert absent == list(IDS)
    assert not view.withheld


def test_what_a_former_owner_published_counts_as_known(view: View) -> None:
    fresh = View()
    fresh.expect(view.services.values())
    fresh.apply_listing(fresh.begin(), NOW + 1, listing("ab", "ab"))
    assert fresh.withheld, "else the first listing of a new watcher would replace everything"
    fresh.apply_listing(fresh.begin(), NOW + 2, listing())
    assert not fresh.withheld
    assert serving(fresh) == "abcde"
    blind = View()
    blind.expect(view.services.values())
    blind.apply_listing(blind.begin(), NOW + 1, listing(tasks=""))
    assert blind.withheld
    blind.apply_listing(blind.begin(), NOW + 2, listing(tasks=""))
    assert not blind.withheld


def test_what_is_known_of_a_node_or_network_in_use_outlives_a_reading_that_lacks_it(view: View) -> None:
    view.apply_nodes(view.begin(), NOW, (node(state="down"), node("second")))
    assert view.apply_nodes(view.begin(), NOW, (node("second"),)) == {}
    assert view.services["a"].tasks[0].node_down
    assert view.apply_networks(view.begin(), NOW, ()) == {}
    assert view.services["a"].networks[0].name == "web"


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_when_the_clock_jumps_the_times_that_others_read_follow_and_ours_stay(view: View, jump: float) -> None:
    view.touch("b", NOW)
    view.apply_service(view.begin(), NOW, service("a"), (task("a", "shutdown"),))
    due = view.next_due()
    assert set(view.reckon(jump, NOW)) == {"a"}
    assert view.services["a"].tasks[0].draining_since == NOW + jump
    assert view.next_due() == due
    former = view.services.values()
    other = View()
    other.reckon(jump, NOW)
    other.seed_drains(former, NOW + 5)
    other.apply_listing(other.begin(), NOW + 5, Listing(services=(service("a"),), tasks=(task("a", "shutdown"),)))
    assert other.services["a"].tasks[0].draining_since == NOW + jump
    behind = View()
    behind.seed_drains(former, NOW + 5)
    behind.apply_listing(behind.begin(), NOW + 5, Listing(services=(service("a"),), tasks=(task("a", "shutdown"),)))
    assert behind.services["a"].tasks[0].draining_since == min(NOW + jump, NOW + 5), "never later than now"
