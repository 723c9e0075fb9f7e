"""Rolling updates of the simulated swarm, both orders, with their failures: pure."""

from __future__ import annotations

import pytest

from interlock_simulator import changes
from support.clocked_swarm import Clocked

NS = 1_000_000_000
MANY = {"Parallelism": 1, "Monitor": NS, "Order": "start-first"}


def _watch(lab: Clocked, shop: str, seconds: float) -> list[tuple[int, int]]:
    """(running and wanted, running or stopping) every 20 ms."""
    seen = []
    for _ in range(int(seconds / 0.02)):
        lab.go(0.02)
        seen.append((len(lab.running(shop)), sum(task.state == "running" for task in lab.tasks(shop))))
    return seen


def test_start_first_never_has_fewer_and_turns_the_old_when_the_new_runs() -> None:
    lab = Clocked()
    shop = lab.service(replicas=3, UpdateConfig=MANY)
    lab.go(3)
    lab.update(shop)
    seen = _watch(lab, shop, 15)
    assert min(wanted for wanted, _ in seen) >= 3
    assert {task.workload.version for task in lab.running(shop)} == {"2"}
    assert lab.status(shop) == "completed"


def test_stop_first_starts_the_new_only_after_the_old_has_stopped() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2, UpdateConfig={**MANY, "Order": "stop-first"})
    lab.go(3)
    lab.update(shop)
    for _ in range(1000):
        lab.go(0.02)
        for slot in (1, 2):
            alive = [task for task in lab.tasks(shop) if task.slot == slot and task.state in {"starting", "running"}]
            assert len(alive) <= 1
    assert {task.workload.version for task in lab.running(shop)} == {"2"}
    assert len(lab.running(shop)) == 2


def test_a_rolling_update_makes_three_events_as_docker_s_does() -> None:
    lab = Clocked()
    shop = lab.service(replicas=3, UpdateConfig=MANY)
    lab.go(3)
    before = lab.swarm.ring.last_number
    lab.update(shop)
    lab.go(30)
    events = lab.swarm.ring.after(before)
    assert [event.attributes.get("updatestate.new") for event in events] == [None, "updating", "completed"]


@pytest.mark.parametrize(("width", "at_once"), [(1, 1), (2, 2), (0, 4)])
def test_parallelism_is_how_many_slots_are_replaced_at_once(width: int, at_once: int) -> None:
    lab = Clocked()
    shop = lab.service(replicas=4, UpdateConfig={**MANY, "Parallelism": width})
    lab.go(3)
    lab.update(shop)
    assert len(lab.tasks(shop)) == 4 + at_once


def test_the_delay_lies_between_two_slots() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2, UpdateConfig={**MANY, "Delay": 5 * NS})
    lab.go(3)
    lab.update(shop)
    lab.go(20)
    made = sorted(lab.swarm.truth(task.id).created for task in lab.running(shop))
    assert made[1] - made[0] > 5


@pytest.mark.parametrize(
    ("action", "status", "version"), [("pause", "paused", None), ("rollback", "rollback_completed", "1")]
)
def test_a_failing_update_pauses_or_rolls_back(action: str, status: str, version: str | None) -> None:
    lab = Clocked()
    shop = lab.service(replicas=3, UpdateConfig={**MANY, "FailureAction": action})
    lab.go(3)
    service = lab.swarm.services[shop]
    template = {**service.template, "ContainerSpec": {"Image": "a", "Env": ["APP_VERSION=2", "SIM_CRASH_AFTER=0.3"]}}
    changes.update_service(lab.swarm, shop, service.index, {**service.spec, "TaskTemplate": template}, lab.now)
    lab.go(40)
    assert lab.status(shop) == status
    assert len([task for task in lab.running(shop) if task.workload.version == "1"]) >= 2
    if version:
        assert {task.workload.version for task in lab.running(shop)} == {version}


def test_rollback_by_hand_goes_back_and_says_so() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2, UpdateConfig=MANY)
    lab.go(3)
    lab.update(shop)
    lab.go(15)
    service = lab.swarm.services[shop]
    changes.update_service(lab.swarm, shop, service.index, {}, lab.now, back=True)
    lab.go(30)
    assert lab.status(shop) == "rollback_completed"
    assert {task.workload.version for task in lab.running(shop)} == {"1"}


def test_labels_alone_touch_no_task() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2)
    lab.go(3)
    before = {task.id for task in lab.tasks(shop)}
    lab.update(shop, version="1", Labels={"com.docker.lb.hosts": "shop.local"})
    lab.go(3)
    assert {task.id for task in lab.tasks(shop)} == before
    assert lab.status(shop) == ""


def test_a_second_update_in_the_midst_of_the_first_ends_at_the_last_spec() -> None:
    lab = Clocked()
    shop = lab.service(replicas=3, UpdateConfig=MANY)
    lab.go(3)
    lab.update(shop, version="2")
    lab.go(1.0)
    lab.update(shop, version="3")
    lab.go(40)
    assert {task.workload.version for task in lab.running(shop)} == {"3"}
    assert len(lab.running(shop)) == 3


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_scaling_in_the_midst_of_an_update_ends_right(order: str) -> None:
    lab = Clocked()
    shop = lab.service(replicas=4, UpdateConfig={**MANY, "Order": order})
    lab.go(3)
    lab.update(shop, version="2")
    lab.go(0.3)
    lab.update(shop, version="2", replicas=2)
    lab.go(40)
    assert len(lab.running(shop)) == 2
    assert {task.workload.version for task in lab.running(shop)} == {"2"}


def test_an_update_towards_the_same_spec_does_not_begin_again() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2, UpdateConfig={**MANY, "Order": "stop-first"})
    lab.go(3)
    lab.update(shop, version="2")
    lab.go(1.0)
    lab.update(shop, version="2")
    lab.go(1.0)
    assert len(lab.running(shop)) == 1
    lab.go(40)
    assert lab.status(shop) == "completed"
    assert {task.workload.version for task in lab.running(shop)} == {"2"}


def test_another_stop_first_update_takes_the_next_task_and_the_first_replacement_starts_in_its_time() -> None:
    lab = Clocked()
    shop = lab.service(replicas=2, UpdateConfig={**MANY, "Order": "stop-first"})
    lab.go(3)
    lab.update(shop, version="2")
    lab.go(2.0)
    lab.update(shop, version="2", Labels={"more": "yes"})
    lab.go(0.1)
    assert lab.running(shop) == []
    lab.go(2.5)
    assert [task.workload.version for task in lab.running(shop)] == ["2"]


def test_another_start_first_update_lets_the_old_go_before_the_new_runs() -> None:
    lab = Clocked()
    shop = lab.service(replicas=1, UpdateConfig={**MANY, "Order": "start-first"})
    lab.go(3)
    lab.update(shop, version="2")
    lab.go(0.2)
    assert [task.workload.version for task in lab.running(shop)] == ["1"]
    lab.update(shop, version="2", Labels={"more": "yes"})
    lab.go(0.05)
    assert lab.running(shop) == []


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_edit_at_any_moment_of_an_update_leaves_no_task_waiting(order: str) -> None:
    """A task that was prepared for its slot must start also when the update that prepared it is replaced."""
    for tenths in range(1, 90, 3):
        lab = Clocked()
        shop = lab.service(replicas=2, UpdateConfig={"Parallelism": 1, "Order": order})
        lab.go(3)
        lab.update(shop)
        lab.go(tenths / 10)
        lab.update(shop, replicas=3)
        lab.go(60)
        wanted = [task for task in lab.tasks(shop) if task.desired in {"running", "ready"}]
        assert [task.state for task in wanted] == ["running"] * 3, f"edited after {tenths / 10} s: {wanted}"
        assert {task.workload.version for task in wanted} == {"2"}
