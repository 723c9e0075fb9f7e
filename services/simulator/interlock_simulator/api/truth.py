"""What `/_sim/tasks` tells of one task: true instants, and the requests that came too late. Pure but for
reading logs."""

from __future__ import annotations

from dataclasses import asdict

from interlock_simulator.engine import Engine
from interlock_simulator.swarm import Truth
from interlock_simulator.values import Json


def told(engine: Engine, truth: Truth) -> Json:
    """Times in seconds since the epoch, null where it did not happen."""
    task = engine.swarm.tasks.get(truth.task_id)
    body: Json = {**asdict(truth), "state": task.state if task else None, "desired": task.desired if task else None}
    body |= {
        "requests": 0,
        "in_flight": 0,
        "cut": 0,
        "connections": 0,
        "last_request": None,
        "after_desired": [],
        "after_sigterm": [],
    }
    process = engine.processes.get(truth.task_id)
    if process is not None:
        log = process.log
        body |= {"requests": log.count, "in_flight": log.in_flight, "cut": log.cut, "connections": log.connections}
        body["last_request"] = log.last
        for key, since in (("after_desired", truth.desired_off), ("after_sigterm", truth.sigterm)):
            if since is not None:
                body[key] = [at for at, _, _ in log.recent if at > since]
        body["hung"] = process.hung
    return body
