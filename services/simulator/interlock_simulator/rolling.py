"""Rolling updates and rollbacks: slot by slot, stop-first or start-first. Pure; called by `machine` after `reconcile`.

swarmkit's way: `parallelism` slots at a time; stop-first turns the old task's desired state first and lets the prepared
new one start when the old is over; start-first waits until the new one is running. A new task's failure within
`monitor` counts.
"""

from __future__ import annotations

import msgspec

from interlock_simulator import lifecycle, orchestrator
from interlock_simulator.swarm import Rollout, Swarm
from interlock_simulator.values import ORDER, Json, Service

_NS = 1_000_000_000


def _settings(service: Service, *, rollback: bool) -> Json:
    return service.spec.get("RollbackConfig" if rollback else "UpdateConfig") or {}


def begin(swarm: Swarm, service: Service, now: float) -> None:
    """After an update: a new rollout, in place of one towards another spec, if any slot's task is of the old spec."""
    under_way = swarm.rollouts.get(service.id)
    rolling_back = (service.update_status or {}).get("State") == "rollback_started"
    if under_way is not None and under_way.spec == service.spec and under_way.rollback is rolling_back:
        return
    swarm.rollouts.pop(service.id, None)
    awaited = set(swarm.replaces.values())
    queue = [
        key
        for key, tasks in orchestrator.slots(swarm, service.id).items()
        # A new task that waits for the end of an old one starts by itself; for another's turn nobody else would see.
        if any(
            orchestrator.is_dirty(service, task) or (task.desired == "ready" and task.id not in awaited)
            for task in tasks
        )
    ]
    if not queue:
        if rolling_back:
            _status(swarm, service, "rollback_completed", "rollback completed", now)
        return
    if not rolling_back:
        service = _status(swarm, service, "updating", "update in progress", now)
    swarm.rollouts[service.id] = Rollout(
        spec=service.spec, rollback=rolling_back, queue=queue, total=len(queue), started=now
    )
    swarm.dirty[service.id] = None


def _status(swarm: Swarm, service: Service, state: str, message: str, now: float) -> Service:
    old = service.update_status or {}
    status: Json = {"State": state, "StartedAt": old.get("StartedAt", now), "Message": message}
    if state.endswith("completed"):
        status["CompletedAt"] = now
    stored = swarm.put_service(msgspec.structs.replace(service, update_status=status), now)
    more = {"updatestate_new": state}
    if old:
        more["updatestate_old"] = old["State"]
    swarm.event("service", "update", service.id, service.name, now, **more)
    return stored


def tick(swarm: Swarm, service_id: str, now: float) -> None:
    """Moves a rollout on as far as the tasks' states and the time allow."""
    service, rollout = swarm.services.get(service_id), swarm.rollouts.get(service_id)
    if service is None or rollout is None:
        swarm.rollouts.pop(service_id, None)
        return
    settings = _settings(service, rollback=rollout.rollback)
    for key in list(rollout.replacing):
        _follow(swarm, service, rollout, key, now)
    if _failed_too_often(swarm, rollout, settings, now):
        _fail(swarm, service, rollout, settings, now)
        return
    for key, until in list(rollout.resting.items()):
        if now >= until:
            del rollout.resting[key]
    width = settings.get("Parallelism", 1) or rollout.total
    while rollout.queue and len(rollout.replacing) + len(rollout.resting) < width:
        _replace(swarm, service, rollout, rollout.queue.pop(0), now)
    if not rollout.queue and not rollout.replacing and not rollout.resting and now >= rollout.quiet_until:
        del swarm.rollouts[service_id]
        word = "rollback" if rollout.rollback else "update"
        _status(swarm, service, "rollback_completed" if rollout.rollback else "completed", f"{word} completed", now)


def _order(service: Service, rollout: Rollout) -> str:
    return str(_settings(service, rollback=rollout.rollback).get("Order") or "stop-first")


def _replace(swarm: Swarm, service: Service, rollout: Rollout, key: str, now: float) -> None:
    tasks = orchestrator.slots(swarm, service.id).get(key, [])
    if not tasks:
        return  # scaled away meanwhile
    old = [task for task in tasks if orchestrator.is_dirty(service, task)]
    fresh = next((task for task in tasks if not orchestrator.is_dirty(service, task)), None)
    # One that is left of an update in whose midst another began has the place at once, whether it runs yet or not.
    start_first = _order(service, rollout) == "start-first" and service.replicas is not None and fresh is None
    if fresh is None:
        fresh = orchestrator.create(swarm, service, key, now, desired="ready")
        if start_first:
            swarm.at(now + swarm.profile.allocated, "turn", fresh.id)
    rollout.replacing[key] = fresh.id
    if not start_first:
        for task in old:
            lifecycle.want(swarm, task, "shutdown", now)
            swarm.replaces[task.id] = fresh.id


def _follow(swarm: Swarm, service: Service, rollout: Rollout, key: str, now: float) -> None:
    new_id = rollout.replacing[key]
    fresh = swarm.tasks.get(new_id)
    if fresh is None:
        rollout.replacing.pop(key)
        return
    others = [task for task in swarm.tasks_of(service.id) if task.key == key and task.id != new_id]
    old = [task for task in others if task.active and orchestrator.is_dirty(service, task)]
    stopping = [task for task in others if not task.active and not task.ended and not task.forever]
    start_first = fresh.desired == "running" and bool(old)
    if fresh.desired == "ready" and not old and not stopping:
        lifecycle.release_start(swarm, fresh, now)
    if ORDER[fresh.state] < ORDER["running"]:
        return
    if start_first and fresh.state == "running":
        for task in old:
            lifecycle.want(swarm, task, "shutdown", now)
    _slot_done(swarm, service, rollout, key, now)


def _slot_done(swarm: Swarm, service: Service, rollout: Rollout, key: str, now: float) -> None:
    new_id = rollout.replacing.pop(key)
    settings = _settings(service, rollback=rollout.rollback)
    delay = (settings.get("Delay") or 0) / _NS
    if delay and rollout.queue:
        rollout.resting[key] = now + delay
        swarm.at(now + delay, "rollout", service.id)
    if settings.get("FailureAction", "pause") != "continue":
        wait = settings.get("Monitor") or 0
        until = now + (wait / _NS if wait else swarm.profile.monitor)
        rollout.watched[new_id] = until
        rollout.quiet_until = max(rollout.quiet_until, until)
        swarm.at(until, "rollout", service.id)


def _failed_too_often(swarm: Swarm, rollout: Rollout, settings: Json, now: float) -> bool:
    for task_id, until in list(rollout.watched.items()):
        task = swarm.tasks.get(task_id)
        if task is not None and task.state in {"failed", "rejected"}:
            rollout.failures += 1
            del rollout.watched[task_id]
        elif now >= until or task is None:
            del rollout.watched[task_id]
    return rollout.failures / rollout.total > (settings.get("MaxFailureRatio") or 0.0)


def _fail(swarm: Swarm, service: Service, rollout: Rollout, settings: Json, now: float) -> None:
    action = settings.get("FailureAction", "pause")
    why = "due to failure or early termination of task"
    if action == "rollback" and not rollout.rollback and service.previous is not None:
        back = msgspec.structs.replace(service, spec=service.previous, previous=service.spec)
        back = _status(swarm, back, "rollback_started", f"update rolled back {why}", now)
        begin(swarm, back, now)
        return
    del swarm.rollouts[service.id]
    if rollout.rollback:
        _status(swarm, service, "rollback_paused", f"rollback paused {why}", now)
    else:
        _status(swarm, service, "paused", f"update paused {why}", now)
