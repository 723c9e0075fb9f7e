"""Reading partitions: first a snapshot, then the entries that follow on; on any doubt a snapshot again.

Doubt is: another generation, a gap, a wrong predecessor, a staged state, an entry that cannot be read, a connection
error, and silence — a log that was cut short or restored reads as silence, so a quiet reader compares with the hash.

A reader never goes back: a state that is older than what it has (a dump was restored, a failover lost the last writes)
is told as unknown until its owner has written again, which an owner does as soon as it notices, and in every new term.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import structlog

from interlock.bus.connection import MOST_BLOCK, Bus
from interlock.bus.keys import Partition
from interlock.bus.state import VERSION_MARKS, Entry, Snapshot, entry_of, snapshot_of, version_of
from interlock.errors import BusError, Corrupted
from interlock.model.version import Version

QUIET = 1.0
"""Seconds without an entry after which a partition is compared with its hash."""

QUIET_UNKNOWN = 0.25
"""The same while the state is missing: somebody waits for it."""

OLDER = "what is on the bus is older than what was read before; waiting for its owner to confirm or replace it"

_COUNT = 64
_GENERATIONS = 64

Update = Snapshot | Entry


class _Reading:
    """Where the reader of one partition is. `version`: of what it told last; `newest`: the newest that it ever told."""

    __slots__ = ("checked", "held", "last_id", "left", "newest", "passed", "synced", "version")

    def __init__(self) -> None:
        self.synced = False
        self.version: Version | None = None
        self.newest: Version | None = None
        self.left: list[str] = []
        self.held: Version | None = None
        self.last_id = "0-0"
        self.passed = ""
        self.checked = 0.0

    def at(self, snapshot: Snapshot, now: float) -> Snapshot:
        """Go on from this snapshot; answers what is to be told of it."""
        self.synced, self.last_id, self.checked = True, snapshot.log_id, now
        version = snapshot.version
        if self.passed and version and version == self.version and _order(self.passed) > _order(self.last_id):
            # Nothing was written since: what follows on comes after the entry that led here, which led nowhere.
            self.last_id = self.passed
        self.passed = ""
        if version and self._older(version):
            self.version, self.held = None, version
            return msgspec.structs.replace(snapshot, fields={}, version=None, complete=False, doubt=OLDER)
        self.version, self.held = version, None
        if version:
            self._advance(version)
        return snapshot

    def step(self, entry: Entry, now: float) -> None:
        """Go on from this entry, which follows."""
        self.version, self.checked = entry.version, now
        self._advance(entry.version)

    def _advance(self, version: Version) -> None:
        if self.newest and self.newest.generation != version.generation:
            self.left = [*self.left[-_GENERATIONS:], self.newest.generation]
        self.newest = version

    def _older(self, version: Version) -> bool:
        # Whatever an owner writes on top of the older state says that it has seen it.
        newest = self.newest
        if newest is None or (self.held and not version.same(self.held)) or version.epoch > newest.epoch:
            return False
        if version.generation == newest.generation:
            return version.seq < newest.seq
        return version.epoch < newest.epoch or version.generation in self.left

    def differs(self, here: Version | None) -> bool:
        """Is the hash, which has this version, another than what was read of it?"""
        return here != (self.held or self.version)

    def follows(self, entry: Entry) -> bool:
        here = self.version
        return (
            here is not None
            and entry.kind == "delta"
            and entry.version.generation == here.generation
            and entry.version.seq == here.seq + 1
            and entry.previous == here.nonce
        )


class Follower:
    """Follows any number of partitions with one blocking read. For one thread; `add` and `drop` between polls.

    `newest`: what an earlier reader, whose place this one takes, had got to.
    """

    def __init__(
        self,
        bus: Bus,
        partitions: Iterable[Partition] = (),
        *,
        newest: Version | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._readings: dict[Partition, _Reading] = {p: _Reading() for p in partitions}
        for reading in self._readings.values():
            reading.newest = newest
        self._dropped: dict[Partition, _Reading] = {}
        self.resyncs = 0

    def add(self, partition: Partition) -> None:
        """Follow this one too, or again; its snapshot comes with the next poll."""
        if partition not in self._readings:
            self._readings[partition] = self._dropped.pop(partition, _Reading())

    def drop(self, partition: Partition) -> None:
        """Follow this one no more. How far it had got is remembered: it must not go back when it is added again."""
        reading = self._readings.pop(partition, None)
        if reading:
            reading.synced = False
            self._dropped[partition] = reading

    def resync(self, partition: Partition) -> None:
        """Read this one's snapshot anew at the next poll."""
        if partition in self._readings:
            self._readings[partition].synced = False

    def poll(self, timeout: float) -> list[tuple[Partition, Update]]:
        """What is new, waiting up to `timeout` seconds for it. Raises `BusUnavailable`; the next poll then resyncs."""
        try:
            return self._poll(timeout)
        except BusError:
            for reading in self._readings.values():
                reading.synced = False
            raise

    def _poll(self, timeout: float) -> list[tuple[Partition, Update]]:
        if not self._readings:
            # Nothing to wait for on the server; the caller's own stop event paces it.
            time.sleep(min(timeout, QUIET_UNKNOWN))
            return []
        deadline = self._clock() + timeout
        while True:
            if found := self._snapshots():
                return found
            left = max(0.0, deadline - self._clock())
            if found := self._entries(min(left, self._until_check(), MOST_BLOCK)):
                return found
            if found := self._compare():
                return found
            if self._clock() >= deadline:
                return self._snapshots()

    def _snapshots(self) -> list[tuple[Partition, Update]]:
        behind = [p for p, r in self._readings.items() if not r.synced]
        if not behind:
            return []
        found: list[tuple[Partition, Update]] = []
        for partition, raw in zip(behind, self._bus.pipeline([("HGETALL", p.state) for p in behind]), strict=True):
            reading = self._readings[partition]
            snapshot = reading.at(snapshot_of(raw), self._clock())
            if snapshot.version is None:
                reading.last_id = self._end_of(partition)
            self.resyncs += 1
            found.append((partition, snapshot))
        return found

    def _end_of(self, partition: Partition) -> str:
        # A state that is missing may have left its log behind, and nothing in that leads to what will be written next.
        [newest] = self._bus.pipeline([("XREVRANGE", partition.log, "+", "-", "COUNT", 1)])
        return newest[0][0].decode() if newest else "0-0"

    def _entries(self, block: float) -> list[tuple[Partition, Update]]:
        names = {p.log.encode(): p for p in self._readings}
        try:
            answer = self._read(list(self._readings), block)
        except Corrupted:
            answer = self._read(self._sound(), block)
        found: list[tuple[Partition, Update]] = []
        for name, raw_entries in _streams(answer):
            partition = names[name]
            found += [(partition, entry) for entry in self._follow(self._readings[partition], raw_entries)]
        return found

    def _read(self, partitions: Sequence[Partition], block: float) -> Any:
        if not partitions:
            time.sleep(min(block, QUIET_UNKNOWN))
            return None
        return self._bus.blocking(
            "XREAD", "COUNT", _COUNT, "BLOCK", max(1, int(block * 1000)), "STREAMS",
            *(p.log for p in partitions), *(self._readings[p].last_id for p in partitions),
        )  # fmt: skip

    def _sound(self) -> list[Partition]:
        # One log that is no stream must not keep us from the others; its writer will put it right.
        kinds = self._bus.pipeline([("TYPE", p.log) for p in self._readings])
        return [p for p, kind in zip(self._readings, kinds, strict=True) if kind in (b"stream", b"none")]

    def _follow(self, reading: _Reading, raw_entries: Sequence[Any]) -> list[Entry]:
        entries = []
        for raw_id, raw in raw_entries:
            reading.last_id = raw_id.decode()
            entry = entry_of(raw_id, raw) if raw else None
            if entry is None:
                structlog.get_logger().warning("an entry that is not of our making is passed over", id=reading.last_id)
            if entry is None or not reading.follows(entry):
                reading.synced, reading.passed = False, reading.last_id
                break
            reading.step(entry, self._clock())
            entries.append(entry)
        return entries

    def _until_check(self) -> float:
        now = self._clock()
        return max(0.0, min(r.checked + _quiet(r) for r in self._readings.values()) - now)

    def _compare(self) -> list[tuple[Partition, Update]]:
        now = self._clock()
        due = [(p, r) for p, r in self._readings.items() if r.synced and now - r.checked >= _quiet(r)]
        if not due:
            return []
        answers = self._bus.pipeline([("HMGET", p.state, *VERSION_MARKS) for p, _ in due])
        strayed: list[tuple[_Reading, Version | None]] = []
        for (_, reading), values in zip(due, answers, strict=True):
            reading.checked = now
            here = version_of(*values) if values else None
            if reading.differs(here):
                strayed.append((reading, reading.version))
        if not strayed:
            return []
        # An entry on its way explains a newer hash; only where the log brings nothing has history been rewritten.
        found = self._entries(0.0)
        for reading, before in strayed:
            if reading.version == before:
                reading.synced = False
        return found


def _order(entry_id: str) -> tuple[int, int]:
    first, _, second = entry_id.partition("-")
    return int(first), int(second or 0)


def _quiet(reading: _Reading) -> float:
    return QUIET if reading.version else QUIET_UNKNOWN


def _streams(answer: Any) -> Iterable[tuple[bytes, Sequence[Any]]]:
    if not answer:
        return ()
    return answer.items() if isinstance(answer, dict) else answer
