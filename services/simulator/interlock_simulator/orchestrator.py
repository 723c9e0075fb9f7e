"""How many tasks a service has, and which: creating, removing, replacing what failed. Pure; called by `machine`.

Rolling updates are `rolling`'s; a slot whose task is of an older spec is left to it.
"""

from __future__ import annotations

import msgspec

from interlock_simulator import lifecycle, workload
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import ORDER, Service, Task

_NS = 1_000_000_000


def slots(swarm: Swarm, service_id: str) -> dict[str, list[Task]]:
    """Slot (or node, for a global service) → its wanted tasks, oldest first."""
    found: dict[str, list[Task]] = {}
    for task in swarm.tasks_of(service_id):
        if task.active:
            found.setdefault(task.key, []).append(task)
    return found


def is_dirty(service: Service, task: Task) -> bool:
    """Whether the task was made from another task template or endpoint than the service has now."""
    if task.template is service.template and task.endpoint is service.spec["EndpointSpec"]:
        return False
    return bool(task.template != service.template or task.endpoint != service.spec["EndpointSpec"])


def create(swarm: Swarm, service: Service, key: str, now: float, desired: str = "running") -> Task:
    """A new task in a slot (or on a node), on its way up."""
    task = Task(
        id=swarm.new_id(),
        service_id=service.id,
        service_name=service.name,
        key=key,
        slot=0 if service.replicas is None else int(key),
        template=service.template,
        endpoint=service.spec["EndpointSpec"],
        workload=workload.of(service.template),
        created=now,
        updated=now,
        state_at=now,
        desired=desired,
    )
    stored = swarm.put_task(task, now)
    swarm.at(now + swarm.vary(swarm.profile.pending), "step", task.id)
    return stored


def reconcile(swarm: Swarm, service_id: str, now: float) -> None:
    """Brings a service's slots to their number, replaces what ended, forgets old dead tasks."""
    service = swarm.services.get(service_id)
    if service is None:
        for task in swarm.tasks_of(service_id):
            lifecycle.want(swarm, task, "remove", now)
        return
    _replace_ended(swarm, service, now)
    _fill(swarm, service, now)
    _forget(swarm, service_id)


def _wanted_keys(swarm: Swarm, service: Service, present: dict[str, list[Task]]) -> list[str]:
    if service.replicas is None:
        constraints = (service.template.get("Placement") or {}).get("Constraints") or []
        return [
            node.id
            for node in swarm.nodes.values()
            if (node.id in present and node.availability == "pause" and node.state != "down")
            or lifecycle.fits(node, constraints)
            or (node.id in present and node.state == "unknown" and node.availability != "drain")
        ]
    keep = sorted(present, key=lambda key: (not any(task.state == "running" for task in present[key]), int(key)))
    keys = keep[: service.replicas]
    number = 1
    while len(keys) < service.replicas:
        if str(number) not in present:
            keys.append(str(number))
        number += 1
    return keys


def _fill(swarm: Swarm, service: Service, now: float) -> None:
    present = slots(swarm, service.id)
    wanted = _wanted_keys(swarm, service, present)
    given_up = {key for key in wanted if key not in present and _given_up(swarm, service, key)}
    for key in wanted:
        if key not in present and key not in given_up:
            create(swarm, service, key, now)
    kept = set(wanted)
    for key, tasks in present.items():
        if key not in kept:
            for task in tasks:
                lifecycle.want(swarm, task, "remove", now)


def _given_up(swarm: Swarm, service: Service, key: str) -> bool:
    ended = [task for task in swarm.tasks_of(service.id) if task.key == key and task.ended and task.err != "node lost"]
    if not ended or is_dirty(service, ended[-1]):
        return False
    return ended[-1].state in {"failed", "complete", "rejected"} and not _restartable(swarm, service, ended[-1])


def _restartable(swarm: Swarm, service: Service, task: Task) -> bool:
    policy = service.template.get("RestartPolicy") or {}
    condition = policy.get("Condition") or "any"
    if condition == "none" or (condition == "on-failure" and task.state == "complete"):
        return False
    most = policy.get("MaxAttempts") or 0
    return not most or swarm.restarts[service.id, task.key] < most


def _replace_ended(swarm: Swarm, service: Service, now: float) -> None:
    for task in swarm.tasks_of(service.id):
        if not (task.ended and task.active):
            continue
        again = _restartable(swarm, service, task)
        lifecycle.want(swarm, task, "shutdown", now)
        others = [other for other in slots(swarm, service.id).get(task.key, ()) if other.id != task.id]
        if not again or others:
            continue
        swarm.restarts[service.id, task.key] += 1
        fresh = create(swarm, service, task.key, now, desired="ready")
        swarm.at(now + _restart_delay(swarm, service), "turn", fresh.id)


def _restart_delay(swarm: Swarm, service: Service) -> float:
    policy = service.template.get("RestartPolicy") or {}
    return policy["Delay"] / _NS if policy.get("Delay") is not None else swarm.profile.restart_delay


def _forget(swarm: Swarm, service_id: str) -> None:
    dead: dict[str, list[Task]] = {}
    for task in swarm.tasks_of(service_id):
        if task.ended and not task.active:
            dead.setdefault(task.key, []).append(task)
    for tasks in dead.values():
        for task in tasks[: max(0, len(tasks) - swarm.history)]:
            swarm.drop_task(task.id)


def evacuate(swarm: Swarm, node_id: str, now: float, *, lost: bool) -> None:
    """A node is drained (its tasks stop as usual) or lost (they keep their last state, nobody hears from them).

    What replaces a task of a drained node starts when that one is over; of a lost node, after the restart delay.
    """
    for task in list(swarm.tasks.values()):
        if task.node_id != node_id or task.ended:
            continue
        seen = swarm.put_task(msgspec.structs.replace(task, forever=True), now) if lost else task
        if ORDER[seen.desired] < ORDER["shutdown"]:
            lifecycle.want(swarm, seen, "shutdown", now)
            _replace_elsewhere(swarm, seen, now, lost=lost)


def _replace_elsewhere(swarm: Swarm, old: Task, now: float, *, lost: bool) -> None:
    service = swarm.services.get(old.service_id)
    if service is None or not old.slot or slots(swarm, service.id).get(old.key):
        return
    fresh = create(swarm, service, old.key, now, desired="ready")
    if lost:
        swarm.at(now + _restart_delay(swarm, service), "turn", fresh.id)
    else:
        swarm.replaces[old.id] = fresh.id
