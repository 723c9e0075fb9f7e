"""One task's way from new to running and to its end. Pure steps on `Swarm`; called by `machine` and the orchestrators.

A task stops as Docker stops it: the desired state is visible first, SIGTERM follows 1 s (no overlay) to 3 s
(overlay) later,
then the process has its grace period.
"""

from __future__ import annotations

import msgspec

from interlock_simulator.refusal import Refused
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import ORDER, Attachment, Kill, Listen, Network, Node, Sigterm, Task

_STARTED = ORDER["starting"]


def _move(swarm: Swarm, task: Task, state: str, message: str, now: float, **more: object) -> Task:
    changed = msgspec.structs.replace(task, state=state, message=message, state_at=now, **more)
    return swarm.put_task(changed, now)


def step(swarm: Swarm, task_id: str, now: float) -> None:
    """The next state of a task on its way up. A task that is no longer wanted, or waits for its turn, stays."""
    task = swarm.tasks.get(task_id)
    if task is None or not task.active:
        return
    profile = swarm.profile
    if task.state == "new":
        _address(swarm, task, now)
    elif task.state == "pending":
        _assign(swarm, task, now)
    elif task.state == "assigned":
        _move(swarm, task, "preparing", "preparing", now)
        swarm.at(now + swarm.vary(profile.ready), "step", task_id)
    elif task.state == "preparing":
        ready = _move(swarm, task, "ready", "prepared", now)
        _start(swarm, ready, now)
    elif task.state == "ready":
        _start(swarm, task, now)


def _start(swarm: Swarm, task: Task, now: float) -> None:
    if task.desired != "running":
        return
    _move(swarm, task, "starting", "starting", now, container_id=swarm.hex_id(), pid=next(swarm.next_pid))
    swarm.at(now + swarm.vary(swarm.profile.starting), "process", task.id)


def _address(swarm: Swarm, task: Task, now: float) -> None:
    """A task has its addresses before it has a node."""
    places: list[Attachment] = []
    for network in networks_of(swarm, task):
        place = swarm.take(network.id)
        if place is None:
            for taken in places:
                swarm.subnets[taken.network_id].give_back(taken.address)
            swarm.at(now + 0.1, "step", task.id)  # the subnet is full: wait until an address is let go
            return
        places.append(place)
    _move(swarm, task, "pending", "pending task scheduling", now, attachments=tuple(places))
    swarm.at(now + swarm.vary(swarm.profile.assigned), "step", task.id)


def _assign(swarm: Swarm, task: Task, now: float) -> None:
    node = _place(swarm, task)
    if node is None:
        error = f"no suitable node (scheduling constraints not satisfied on {len(swarm.nodes)} nodes)"
        if task.err != error:
            _move(swarm, task, "pending", "pending task scheduling", now, err=error)
        swarm.at(now + 0.5, "step", task.id)
        return
    swarm.truth(task.id).address = task.attachments[-1].address if task.attachments else node.address
    assigned = _move(swarm, task, "assigned", "scheduler assigned task to node", now, node_id=node.id, err="")
    swarm.attach(assigned, now)
    swarm.at(now + swarm.vary(swarm.profile.preparing), "step", task.id)


def networks_of(swarm: Swarm, task: Task) -> list[Network]:
    """The networks a task is attached to: ingress when a port is published there, then the template's own, in order."""
    wanted = [entry["Target"] for entry in task.template.get("Networks") or []]
    places = [swarm.networks[target] for target in wanted if target in swarm.subnets]
    if any(port.get("PublishMode", "ingress") == "ingress" for port in task.endpoint.get("Ports") or []):
        places = [network for network in swarm.networks.values() if network.ingress] + places
    return places


def _place(swarm: Swarm, task: Task) -> Node | None:
    constraints = (task.template.get("Placement") or {}).get("Constraints") or []
    if not task.slot:
        node = swarm.nodes.get(task.key)
        return node if node is not None and fits(node, constraints) else None
    mine: dict[str, int] = {}
    for other in swarm.tasks_of(task.service_id):
        if other.active and other.node_id:
            mine[other.node_id] = mine.get(other.node_id, 0) + 1
    fitting = [node for node in swarm.nodes.values() if fits(node, constraints)]
    return min(fitting, key=lambda node: (mine.get(node.id, 0), swarm.load[node.id]), default=None)


def fits(node: Node, constraints: list[str]) -> bool:
    """Whether a node takes new tasks and meets constraints such as `node.role==worker`. Raises Refused for others."""
    if node.state != "ready" or node.availability != "active" or not node.reachable:
        return False
    for constraint in constraints:
        negative = "!=" in constraint
        key, found, value = (part.strip() for part in constraint.partition("!=" if negative else "=="))
        if not found:
            raise Refused(400, f"invalid constraint {constraint!r}: write it as node.labels.zone==a")
        labels = node.spec.get("Labels") or {}
        facts = {
            "node.id": node.id,
            "node.hostname": node.hostname,
            "node.role": node.spec["Role"],
            "node.platform.os": "linux",
        }
        actual = labels.get(key.removeprefix("node.labels.")) if key.startswith("node.labels.") else facts.get(key)
        if (actual == value) is negative:
            return False
    return True


def process_started(swarm: Swarm, task_id: str, now: float) -> None:
    """The container's process runs: it listens a little later, and is `running` now or when healthy."""
    task = swarm.tasks.get(task_id)
    if task is None or task.state != "starting" or not task.active:
        return
    truth = swarm.truth(task_id)
    truth.started = now
    load, profile = task.workload, swarm.profile
    until_listening = swarm.vary(profile.listen) if load.start_delay is None else load.start_delay
    if load.listens:
        swarm.at(now + until_listening, "listen", task_id)
    if load.health_delay is None:
        running(swarm, task_id, now)
    else:
        delay = until_listening + profile.health if load.health_delay < 0 else load.health_delay
        swarm.at(now + delay, "running", task_id)
    if load.crash_after is not None:
        swarm.at(now + load.crash_after, "crash", task_id)


def running(swarm: Swarm, task_id: str, now: float) -> None:
    """The task is seen to run (and to be healthy, where that is asked)."""
    task = swarm.tasks.get(task_id)
    if task is not None and task.state == "starting" and task.active:
        swarm.truth(task_id).running = now
        _move(swarm, task, "running", "started", now)


def listen(swarm: Swarm, task_id: str, now: float) -> None:
    """The process begins to accept, unless it is over."""
    truth = swarm.truths.get(task_id)
    if truth is not None and truth.exited is None and truth.sigterm is None:
        truth.opening = now
        swarm.effects.append(Listen(task_id))


def want(swarm: Swarm, task: Task, desired: str, now: float) -> None:
    """Changes the desired state: visible at once; a task that has a process gets its SIGTERM after the
    profile's delay."""
    if ORDER[desired] <= ORDER[task.desired]:
        return
    truth = swarm.truth(task.id)
    if task.active:
        truth.desired_off = now
    task = swarm.put_task(msgspec.structs.replace(task, desired=desired), now)
    if task.ended:
        swarm.at(now + swarm.profile.reaped, "reap", task.id)
    elif ORDER[task.state] < ORDER["assigned"]:
        # One that is to be removed and was nowhere yet goes as it is.
        if desired != "remove":
            _move(swarm, task, "shutdown", "shutdown", now)
        swarm.at(now + swarm.profile.reaped, "reap", task.id)
    elif truth.sigterm is None and not task.forever:
        overlay = bool(task.attachments)
        delay = swarm.profile.sigterm_overlay if overlay else swarm.profile.sigterm_plain
        swarm.at(now + delay, "sigterm", task.id)


def release_start(swarm: Swarm, task: Task, now: float) -> None:
    """A prepared replacement gets its turn: desired state ready → running."""
    if task.desired == "ready":
        task = swarm.put_task(msgspec.structs.replace(task, desired="running"), now)
        if task.state == "ready":
            swarm.at(now, "step", task.id)


def sigterm(swarm: Swarm, task_id: str, now: float) -> None:
    """The process is asked to end. One that never started, or does not listen, ends by itself here."""
    task = swarm.tasks.get(task_id)
    if task is None or task.ended or task.forever:
        return
    truth = swarm.truth(task_id)
    if truth.sigterm is not None or truth.exited is not None:
        return
    truth.sigterm = now
    if truth.started is None or truth.opening is None:
        exited(swarm, task_id, now, 0)
        return
    swarm.effects.append(Sigterm(task_id))
    swarm.at(now + task.workload.grace, "sigkill", task_id)


def sigkill(swarm: Swarm, task_id: str, now: float) -> None:
    """The grace period is over."""
    truth = swarm.truths.get(task_id)
    if truth is not None and truth.exited is None:
        truth.killed = True
        swarm.effects.append(Kill(task_id))
        exited(swarm, task_id, now, 137)


def exited(swarm: Swarm, task_id: str, now: float, code: int) -> None:
    """The process is over; the API shows it a little later."""
    truth = swarm.truths.get(task_id)
    if truth is None or truth.exited is not None:
        return
    truth.exited = now
    task = swarm.tasks.get(task_id)
    if task is not None:
        swarm.put_task(msgspec.structs.replace(task, exit_code=code), now)
        asked = truth.sigterm is not None
        swarm.at(now + (swarm.profile.exit_seen if asked else swarm.profile.crash_seen), "exit_seen", task_id)


def crash(swarm: Swarm, task_id: str, now: float) -> None:
    """SIGKILL from outside: connections are reset at once, the API shows `failed` a little later, no event
    tells of it."""
    truth = swarm.truths.get(task_id)
    if truth is not None and truth.exited is None and truth.started is not None:
        truth.killed = True
        swarm.effects.append(Kill(task_id))
        exited(swarm, task_id, now, 137)


def exit_seen(swarm: Swarm, task_id: str, now: float) -> None:
    """The end reaches the API: `shutdown` for one that was to stop, else `failed` or `complete`."""
    task = swarm.tasks.get(task_id)
    if task is None or task.ended or task.forever:
        return
    if not task.active:
        state, message, err = "shutdown", "shutdown", ""
    elif task.exit_code:
        state, message, err = "failed", "started", f"task: non-zero exit ({task.exit_code})"
    else:
        state, message, err = "complete", "finished", ""
    ended = _move(swarm, task, state, message, now, err=err)
    swarm.release(ended, now)
    fresh = swarm.tasks.get(swarm.replaces.pop(task_id, ""))
    if fresh is not None:
        release_start(swarm, fresh, now)
    if ended.desired == "remove":
        swarm.at(now + swarm.profile.reaped, "reap", task_id)


def reap(swarm: Swarm, task_id: str, now: float) -> None:
    """A task that was to be removed and is over leaves the API."""
    task = swarm.tasks.get(task_id)
    if task is not None and (task.ended or (task.desired == "remove" and ORDER[task.state] < ORDER["assigned"])):
        swarm.release(task, now)
        if task.desired == "remove":
            swarm.drop_task(task_id)
