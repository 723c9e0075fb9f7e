"""The simulated swarm's motor: does what is due, then lets the orchestrators settle. Pure: the clock is an argument.

`advance` is called by the shell (`engine`) whenever something is due or was changed; what it gives back is
what the shell has
to do to real sockets.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from interlock_simulator import changes, lifecycle, orchestrator, rolling
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Blackhole, Effect, Kill


def _turn(swarm: Swarm, task_id: str, now: float) -> None:
    task = swarm.tasks.get(task_id)
    if task is not None:
        lifecycle.release_start(swarm, task, now)


def _rollout(swarm: Swarm, service_id: str, now: float) -> None:  # noqa: ARG001 - every step of the agenda takes the time
    swarm.dirty[service_id] = None


def _node_down(swarm: Swarm, node_id: str, now: float) -> None:
    node = swarm.nodes.get(node_id)
    if node is not None and not node.reachable and node.state != "down":
        set_node_state(swarm, node_id, "down", now)
        orchestrator.evacuate(swarm, node_id, now, lost=True)


def _node_ready(swarm: Swarm, node_id: str, now: float) -> None:
    node = swarm.nodes.get(node_id)
    if node is None or not node.reachable:
        return
    set_node_state(swarm, node_id, "ready", now)
    for task in list(swarm.tasks.values()):
        if task.node_id == node_id and task.forever:
            _came_back(swarm, task.id, now)
    swarm.dirty.update(dict.fromkeys(swarm.services))


def _came_back(swarm: Swarm, task_id: str, now: float) -> None:
    """What was lost with its node is told its desired state now: what still runs stops, what died is seen to
    be dead."""
    task = swarm.put_task(msgspec.structs.replace(swarm.tasks[task_id], forever=False), now)
    if swarm.truth(task_id).exited is not None or swarm.truth(task_id).started is None:
        lifecycle.exit_seen(swarm, task_id, now)
    elif not task.active:
        delay = swarm.profile.sigterm_overlay if task.attachments else swarm.profile.sigterm_plain
        swarm.at(now + delay, "sigterm", task_id)


def _drain(swarm: Swarm, node_id: str, now: float) -> None:
    orchestrator.evacuate(swarm, node_id, now, lost=False)


_STEPS: dict[str, Callable[[Swarm, str, float], None]] = {
    "step": lifecycle.step,
    "process": lifecycle.process_started,
    "running": lifecycle.running,
    "listen": lifecycle.listen,
    "sigterm": lifecycle.sigterm,
    "sigkill": lifecycle.sigkill,
    "crash": lifecycle.crash,
    "exit_seen": lifecycle.exit_seen,
    "reap": lifecycle.reap,
    "turn": _turn,
    "allocate": changes.allocate,
    "network_allocated": changes.network_allocated,
    "rollout": _rollout,
    "node_down": _node_down,
    "node_ready": _node_ready,
    "drain": _drain,
}


def advance(swarm: Swarm, now: float) -> list[Effect]:
    """Does everything due at `now` and settles every service touched; gives the effects for the shell, in order."""
    while True:
        for what, object_id in swarm.due(now):
            _STEPS[what](swarm, object_id, now)
        if not swarm.dirty:
            break
        dirty, swarm.dirty = swarm.dirty, {}
        for service_id in dirty:
            orchestrator.reconcile(swarm, service_id, now)
            rolling.tick(swarm, service_id, now)
    effects, swarm.effects = swarm.effects, []
    return effects


def exited(swarm: Swarm, task_id: str, now: float, code: int = 0) -> None:
    """The shell tells that a process has ended."""
    lifecycle.exited(swarm, task_id, now, code)


def set_node_state(swarm: Swarm, node_id: str, state: str, now: float) -> None:
    """Changes what the managers think of a node, with its event."""
    node = swarm.nodes[node_id]
    if node.state != state:
        swarm.put_node(msgspec.structs.replace(node, state=state), now)
        swarm.event("node", "update", node_id, node.hostname, now, state_old=node.state, state_new=state)


def nodes_unknown(swarm: Swarm, seconds: float, now: float) -> None:
    """As after a leader change: every node that is not down reads `unknown` for some seconds; nothing else happens."""
    for node in list(swarm.nodes.values()):
        if node.state != "down":
            set_node_state(swarm, node.id, "unknown", now)
            swarm.at(now + seconds, "node_ready", node.id)


def lose_node(swarm: Swarm, node_id: str, now: float, *, kill: bool) -> None:
    """A node is gone: its processes die (kill) or only cannot be reached (partition). The managers notice later."""
    node = swarm.nodes[node_id]
    swarm.put_node(msgspec.structs.replace(node, reachable=False), now)
    for task in list(swarm.tasks.values()):
        if task.node_id != node_id or task.ended:
            continue
        swarm.put_task(msgspec.structs.replace(task, forever=True), now)
        truth = swarm.truth(task.id)
        if kill and truth.exited is None:
            truth.exited, truth.killed = now, True
            swarm.effects.append(Kill(task.id))
        elif not kill:
            swarm.effects.append(Blackhole(task.id, True))
    swarm.at(now + swarm.profile.node_down, "node_down", node_id)


def return_node(swarm: Swarm, node_id: str, now: float) -> None:
    """The node is back: reachable at once, `ready` a little later."""
    swarm.put_node(msgspec.structs.replace(swarm.nodes[node_id], reachable=True), now)
    for task in swarm.tasks.values():
        if task.node_id == node_id:
            swarm.effects.append(Blackhole(task.id, False))
    swarm.at(now + swarm.profile.node_up, "node_ready", node_id)
