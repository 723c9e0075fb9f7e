"""The life of tasks in the simulated swarm: pure, with a clock of our own and no sockets."""

from __future__ import annotations

import pytest

from interlock_simulator import changes, lifecycle, machine
from interlock_simulator.refusal import Refused
from interlock_simulator.values import Kill, Listen, Sigterm
from support.clocked_swarm import PROFILE, Clocked


def test_a_task_goes_docker_s_way_and_listens_only_after_it_runs() -> None:
    lab = Clocked()
    shop = lab.service(replicas=1)
    states = []
    for _ in range(300):
        lab.go(0.005)
        state = lab.tasks(shop)[0].state
        if not states or states[-1] != state:
            states.append(state)
    assert states == ["new", "pending", "assigned", "preparing", "starting", "running"]
    truth = lab.swarm.truth(lab.tasks(shop)[0].id)
    assert truth.running is not None
    assert truth.listening is not None
    assert 0.3 <= truth.running - truth.created <= 1.0
    assert truth.listening - truth.running == pytest.approx(PROFILE.listen, abs=1e-3)
    assert any(isinstance(effect, Listen) for _, effect in lab.seen)


def test_a_health_check_holds_the_task_in_starting_while_it_listens_already() -> None:
    lab = Clocked()
    template = {"ContainerSpec": {"Image": "a", "Env": ["SIM_HEALTH_DELAY=2", "SIM_START_DELAY=0.5"]}}
    shop = lab.service(replicas=1, overlay=False, TaskTemplate=template)
    lab.go(2.0)
    assert lab.tasks(shop)[0].state == "starting"
    assert any(isinstance(effect, Listen) for _, effect in lab.seen)
    lab.go(1.0)
    assert lab.tasks(shop)[0].state == "running"


@pytest.mark.parametrize(("overlay", "delay"), [(True, 3.15), (False, 1.15)])
def test_the_desired_state_is_visible_before_sigterm(overlay: bool, delay: float) -> None:
    lab = Clocked()
    shop = lab.service(overlay=overlay)
    lab.go(2)
    lab.update(shop, version="1", replicas=1)
    doomed = next(task for task in lab.tasks(shop) if task.desired == "remove")
    assert doomed.state == "running"
    turned = lab.now
    lab.go(5)
    sigterm = next(at for at, effect in lab.seen if isinstance(effect, Sigterm))
    assert sigterm - turned == pytest.approx(delay)
    assert doomed.id not in lab.swarm.tasks
    assert lab.swarm.truth(doomed.id).desired_off == turned


def test_one_that_ignores_sigterm_is_killed_after_its_grace_period() -> None:
    lab = Clocked()
    shop = lab.service(replicas=1)
    lab.go(2)
    lab.stubborn = True
    changes.remove_service(lab.swarm, shop, lab.now)
    lab.go(3.2)
    assert not any(isinstance(effect, Kill) for _, effect in lab.seen)
    lab.go(10.5)
    assert any(isinstance(effect, Kill) for _, effect in lab.seen)
    assert not lab.swarm.tasks


def test_the_lowest_free_address_is_used_again_and_serial_goes_round_first() -> None:
    found = {}
    for serial in (False, True):
        lab = Clocked(serial=serial)
        first = lab.service("one", replicas=1)
        lab.go(2)
        address = lab.tasks(first)[0].attachments[0].address
        changes.remove_service(lab.swarm, first, lab.now)
        lab.go(5)
        second = lab.service("two", replicas=1, EndpointSpec={"Mode": "dnsrr"})
        third = lab.service("three", replicas=1, EndpointSpec={"Mode": "dnsrr"})
        lab.go(2)
        found[serial] = address in {lab.tasks(one)[0].attachments[0].address for one in (second, third)}
    assert found == {False: True, True: False}


def test_an_address_is_never_two_tasks_at_once_and_a_full_subnet_waits() -> None:
    lab = Clocked()
    tiny = changes.create_network(
        lab.swarm, {"Name": "tiny", "Driver": "overlay", "IPAM": {"Config": [{"Subnet": "127.21.0.0/29"}]}}, lab.now
    )
    template = {"ContainerSpec": {"Image": "a"}, "Networks": [{"Target": "tiny"}]}
    shop = lab.service(replicas=6, overlay=False, TaskTemplate=template, EndpointSpec={"Mode": "dnsrr"})
    lab.go(2)
    assert len(lab.running(shop)) == 5
    assert [task.state for task in lab.tasks(shop)].count("new") == 1
    lifecycle.crash(lab.swarm, lab.running(shop)[0].id, lab.now)
    lab.go(3)
    places = [task.attachments[0].address for task in lab.running(shop)]
    assert len(places) == len(set(places)) == 5
    assert tiny.subnet == "127.21.0.0/29"


def test_a_crash_is_seen_late_makes_no_event_and_is_replaced() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2, overlay=False)
    lab.go(2)
    events = lab.swarm.ring.last_number
    victim = lab.running(shop)[0]
    lifecycle.crash(lab.swarm, victim.id, lab.now)
    lab.go(0.05)
    assert lab.swarm.tasks[victim.id].state == "running"
    lab.go(0.2)
    assert lab.swarm.tasks[victim.id].state == "failed"
    assert lab.swarm.tasks[victim.id].desired == "shutdown"
    # Docker waits five seconds before it starts the next.
    lab.go(4.5)
    assert len(lab.running(shop)) == 1
    lab.go(2)
    assert len(lab.running(shop)) == 2
    assert {task.slot for task in lab.running(shop)} == {1, 2}
    assert lab.swarm.ring.last_number == events


def test_a_restart_policy_is_kept() -> None:
    lab = Clocked()
    template = {"ContainerSpec": {"Image": "a", "Env": ["SIM_CRASH_AFTER=0.2"]}}
    never = lab.service("never", 1, overlay=False, TaskTemplate={**template, "RestartPolicy": {"Condition": "none"}})
    twice = lab.service("twice", 1, overlay=False, TaskTemplate={**template, "RestartPolicy": {"MaxAttempts": 2}})
    lab.go(20)
    assert len(lab.tasks(never)) == 1
    assert len(lab.tasks(twice)) == 3
    assert not lab.running(never)


def test_dead_tasks_are_kept_up_to_the_history_limit() -> None:
    lab = Clocked()
    template = {"ContainerSpec": {"Image": "a", "Env": ["SIM_CRASH_AFTER=0.2"]}}
    shop = lab.service(replicas=1, overlay=False, TaskTemplate=template)
    lab.go(30)
    dead = [task for task in lab.tasks(shop) if task.ended]
    assert 4 <= len(dead) <= 6


def test_unknown_nodes_take_nothing_away_and_come_back() -> None:
    lab = Clocked(nodes=3)
    shop = lab.service(replicas=3)
    everywhere = lab.service("agent", replicas=None)
    lab.go(2)
    machine.nodes_unknown(lab.swarm, 3.0, lab.now)
    lab.go(1)
    assert {node.state for node in lab.swarm.nodes.values()} == {"unknown"}
    assert len(lab.running(shop)) == len(lab.running(everywhere)) == 3
    lab.go(3)
    assert {node.state for node in lab.swarm.nodes.values()} == {"ready"}
    assert not [effect for _, effect in lab.seen if isinstance(effect, Sigterm | Kill)]


def test_a_lost_node_s_tasks_keep_their_state_and_are_replaced_elsewhere() -> None:
    lab = Clocked(nodes=2)
    shop = lab.service(replicas=2)
    lab.go(2)
    lost = next(node for node in lab.swarm.nodes.values() if node.hostname == "node2")
    machine.lose_node(lab.swarm, lost.id, lab.now, kill=True)
    lab.go(9)
    assert lab.swarm.nodes[lost.id].state == "ready"
    lab.go(4)
    assert lab.swarm.nodes[lost.id].state == "down"
    orphan = next(task for task in lab.tasks(shop) if task.node_id == lost.id)
    assert (orphan.state, orphan.desired) == ("running", "shutdown")
    lab.go(5)
    assert len(lab.running(shop)) == 2
    machine.return_node(lab.swarm, lost.id, lab.now)
    lab.go(5)
    assert lab.swarm.nodes[lost.id].state == "ready"
    assert lab.swarm.tasks[orphan.id].state == "shutdown"


def test_drain_moves_tasks_when_they_are_over_and_says_so_in_one_node_event() -> None:
    lab = Clocked(nodes=2)
    shop = lab.service(replicas=4)
    lab.go(2)
    node = next(iter(lab.swarm.nodes.values()))
    changes.update_node(lab.swarm, node.id, node.index, {**node.spec, "Availability": "drain"}, lab.now)
    lab.go(2)
    waiting = [task for task in lab.tasks(shop) if task.desired == "ready"]
    assert [task.state for task in waiting] == ["ready", "ready"]
    lab.go(4)
    assert {task.node_id for task in lab.running(shop)} == set(lab.swarm.nodes) - {node.id}
    assert len(lab.running(shop)) == 4
    said = [event.attributes for event in lab.swarm.ring.since(0) if "availability.new" in event.attributes]
    assert [attributes["availability.new"] for attributes in said] == ["drain"]


def test_a_node_is_changed_by_the_first_and_the_last_task_on_a_network() -> None:
    lab = Clocked(nodes=1)
    [node] = lab.swarm.nodes.values()
    shop = lab.service(replicas=3)
    lab.go(2)
    changes.remove_service(lab.swarm, shop, lab.now)
    lab.go(6)
    events = [event for event in lab.swarm.ring.since(0) if (event.kind, event.action) == ("node", "update")]
    assert [event.attributes for event in events] == [{"name": node.hostname}] * 2
    assert not lab.swarm.tasks


def test_addresses_of_a_service_come_after_it_with_an_event_of_their_own() -> None:
    lab = Clocked()
    shop = lab.service()
    assert lab.swarm.services[shop].vips == ()
    lab.go(1)
    assert lab.swarm.services[shop].vips
    events = [event.action for event in lab.swarm.ring.since(0) if event.object_id == shop]
    assert events == ["create", "update"]


def test_an_update_with_an_old_version_is_out_of_sequence() -> None:
    lab = Clocked()
    shop = lab.service()
    stale = lab.swarm.services[shop]
    lab.update(shop)
    with pytest.raises(Refused, match="update out of sequence") as caught:
        changes.update_service(lab.swarm, shop, stale.index, stale.spec, lab.now)
    assert caught.value.status == 500


def test_constraints_that_nobody_meets_leave_the_task_pending() -> None:
    lab = Clocked()
    template = {"ContainerSpec": {"Image": "a"}, "Placement": {"Constraints": ["node.labels.zone==a"]}}
    shop = lab.service(replicas=1, overlay=False, TaskTemplate=template)
    lab.go(2)
    assert lab.tasks(shop)[0].state == "pending"
    assert "no suitable node" in lab.tasks(shop)[0].err
    node = next(iter(lab.swarm.nodes.values()))
    changes.update_node(lab.swarm, node.id, node.index, {**node.spec, "Labels": {"zone": "a"}}, lab.now)
    lab.go(2)
    assert lab.tasks(shop)[0].state == "running"
