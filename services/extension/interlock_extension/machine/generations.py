"""Which workers of old generations must end: pure. They live as long as their connections, and each costs memory."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class OldWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that serves its last connections.

    `generation` grows with every reload; `age`: seconds since it was told to leave; `memory` in bytes.
    """

    pid: int
    generation: int
    age: float
    memory: int


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many old generations may live, for how many seconds, and how many bytes they may hold together.

    Younger ones than `young` seconds are spared by the number, not by the memory: in a storm of changes many come, and
    most go by themselves as soon as their idle connections are past their time.
    """

    generations: int = 64
    memory: int = 512 * 1024 * 1024
    young: float = 30.0
    age: float = 86_400.0


def overdue(workers: Sequence[OldWorker], bounds: Bounds) -> list[OldWorker]:
    """The oldest generations, as many as must end for the rest to be within bounds; by pid."""
    by_age: dict[int, list[OldWorker]] = {}
    for worker in workers:
        by_age.setdefault(worker.generation, []).append(worker)
    ended: list[OldWorker] = []
    memory = 0
    for kept, generation in enumerate(sorted(by_age, reverse=True), start=1):
        members = by_age[generation]
        memory += sum(worker.memory for worker in members)
        youngest = min(worker.age for worker in members)
        past = kept > bounds.generations and youngest >= bounds.young
        if past or memory > bounds.memory or youngest >= bounds.age:
            ended += members
    return sorted(ended, key=lambda worker: worker.pid)
