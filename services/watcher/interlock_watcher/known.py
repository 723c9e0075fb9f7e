"""One service as `view` keeps it, and what a read may reveal about it. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import structs

from interlock.model.swarm import Service
from interlock_watcher.engine import RawService, RawTask, unix_time
from interlock_watcher.translate import draining

_SANE_AGE = 60.0


class Changed(NamedTuple):
    """What a read revealed about one service. `docker_at`: Docker's own time of the change (Unix s), where it says."""

    docker_at: float | None = None


Changes = dict[str, Changed]


class Known(msgspec.Struct):
    """One service of ours: its last accepted read and what was made of it."""

    raw: RawService
    tasks: tuple[RawTask, ...]
    ticket: int
    service: Service | None = None
    drains: dict[str, float] = msgspec.field(default_factory=dict)
    moved_at: float = 0.0
    older_since: float | None = None

    @property
    def serves(self) -> bool:
        """Whether a task of it runs and is to run."""
        return any(task.status.state == task.desired_state == "running" for task in self.tasks)


def changed_at(before: tuple[RawTask, ...], after: tuple[RawTask, ...], now: float) -> float | None:
    """When the earliest task change between two reads happened, by Docker's clock; None when it does not say."""
    old: Mapping[str, RawTask] = {task.id: task for task in before}
    times: list[float] = []
    for task in after:
        was = old.get(task.id)
        if was is not None and (was.status.state, was.desired_state) == (task.status.state, task.desired_state):
            continue
        moved = was is None or was.status.state != task.status.state
        at = unix_time(task.status.timestamp if moved else task.updated_at)
        if at is not None and now - _SANE_AGE < at <= now:
            times.append(at)
    return min(times, default=None)


def with_ports(tasks: tuple[RawTask, ...], before: tuple[RawTask, ...]) -> tuple[RawTask, ...]:
    """The tasks; those that drain with the ports that they had.

    Docker says no more of them 0.2 s after it has shown that it will stop a task, and a second before it signals it.
    """
    had = {task.id: task.status.port_status for task in before if task.ports}
    if not had:
        return tasks
    return tuple(
        structs.replace(task, status=structs.replace(task.status, port_status=had[task.id]))
        if task.id in had and draining(task) and not task.ports
        else task
        for task in tasks
    )
