"""Which workers of old generations must end: pure. They live as long as their connections, and each costs memory."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class OldWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that serves its last connections. `generation` grows with every reload; `memory` in bytes."""

    pid: int
    generation: int
    memory: int


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many old generations may live, and how many bytes they may hold together."""

    generations: int = 8
    memory: int = 512 * 1024 * 1024


def overdue(workers: Sequence[OldWorker], bounds: Bounds) -> list[int]:
    """Pids of the oldest generations, as many as must end for the rest to be within bounds."""
    by_age: dict[int, list[OldWorker]] = {}
    for worker in workers:
        by_age.setdefault(worker.generation, []).append(worker)
    ended: list[int] = []
    memory = 0
    for kept, generation in enumerate(sorted(by_age, reverse=True), start=1):
        memory += sum(worker.memory for worker in by_age[generation])
        if kept > bounds.generations or memory > bounds.memory:
            ended += [worker.pid for worker in by_age[generation]]
    return sorted(ended)
