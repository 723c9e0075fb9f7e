"""A partition's state: what a snapshot and a log entry are, and the writer that changes both in one fenced step.

The writer never trusts its memory after a doubt: `replace` diffs against the hash as it is. Readers are in `follower`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from interlock.bus.connection import Argument, Bus
from interlock.bus.keys import MARK, Partition
from interlock.bus.scripts import Script, load
from interlock.errors import BusFull, BusUnavailable, Corrupted, Diverged, WireError
from interlock.model.version import Token, Version
from interlock.wire import codec
from interlock.wire.trail import Trail

MOST_FIELDS = 1_000
"""Fields that one script changes; Lua unpacks six arguments for each, and its stack ends at 8,000."""

MOST_BYTES = 4 * 1024 * 1024
"""Bytes of values that one script carries; a larger change is staged and renamed, so that the server never stalls."""

VERSION_MARKS = ("@gen", "@seq", "@nonce", "@epoch")
"""The marks of a state hash that `version_of` makes a version of."""

_LOG_ID = re.compile(r"\d+-\d+")
_STAGING_TTL_MS = 60_000
_ENTRIES_WHEN_FULL = 16


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a log is kept. It bounds replay, never correctness. `seconds` and `most_bytes` hold for one log."""

    seconds: float = 24 * 3600
    most_bytes: int = 64 * 1024 * 1024


RETENTION = Retention()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One field before and after; None means that it was not there, or is no more."""

    field: str
    before: bytes | None
    after: bytes | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a log. A `resync` entry carries no changes: the state is to be read anew."""

    version: Version
    previous: str
    kind: Literal["delta", "resync"] = "delta"
    complete: bool = False
    changes: tuple[Change, ...] = ()
    trail: Trail = Trail()
    id: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A partition's whole present. `version` None: the state is missing, which is *unknown* and never *empty*.

    `complete`: its writer has marked it so; nobody acts on a state that is not. `origin`: the version of the state that
    this one was derived from. `log_id`: where a reader of the log goes on. `nonce`: that mark as it stands, which need
    not make sense. `doubt`: why a state that is there is not to be used.
    """

    fields: dict[str, bytes] = {}
    version: Version | None = None
    complete: bool = False
    origin: Version | None = None
    log_id: str = "0-0"
    nonce: bytes = b""
    doubt: str = ""


def snapshot_of(raw: Mapping[bytes, bytes] | Sequence[bytes] | None) -> Snapshot:
    """A snapshot from what HGETALL answered; None, where the key is no hash, is a state that is missing."""
    if raw is None:
        return Snapshot()
    pairs = raw.items() if isinstance(raw, Mapping) else zip(raw[::2], raw[1::2], strict=True)
    marks: dict[str, bytes] = {}
    fields: dict[str, bytes] = {}
    for name, value in pairs:
        text = name.decode("utf-8", "surrogateescape")
        if text.startswith(MARK):
            marks[text] = value
        else:
            fields[text] = value
    log_id = marks.get("@log", b"").decode("ascii", "replace")
    return Snapshot(
        fields=fields,
        version=version_of(*map(marks.get, VERSION_MARKS)),
        complete=marks.get("@complete") == b"1",
        origin=version_of(*marks.get("@from", b"").split(b" ")),
        log_id=log_id if _LOG_ID.fullmatch(log_id) else "0-0",
        nonce=marks.get("@nonce", b""),
    )


def version_of(
    generation: bytes | None = None,
    seq: bytes | None = None,
    nonce: bytes | None = None,
    epoch: bytes | None = None,
    *_: bytes | None,
) -> Version | None:
    """A version from its marks; None unless generation, sequence and nonce are there and make sense."""
    texts = [mark.decode("ascii") if mark and mark.isascii() else "" for mark in (generation, seq, nonce)]
    if not all(texts) or not texts[1].isdecimal():
        return None
    written = int(epoch) if epoch and epoch.isdigit() else 0
    return Version(generation=texts[0], seq=int(texts[1]), nonce=texts[2], epoch=written)


def _format_version(version: Version | None) -> str:
    return f"{version.generation} {version.seq} {version.nonce} {version.epoch}" if version else ""


def entry_of(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry | None:
    """A log entry from what XREAD answered; None where it cannot be read, which a reader answers with a resync."""
    get = fields.get
    schema = get(b"v", b"")
    version = version_of(get(b"gen"), get(b"seq"), get(b"nonce"), get(b"epoch"))
    if version is None or not schema.isdigit() or int(schema) not in codec.READABLE:
        return None
    changes = []
    n = 0
    while (name := get(b"f%d" % n)) is not None:
        changes.append(
            Change(
                field=name.decode("utf-8", "surrogateescape"),
                before=get(b"b%d" % n) or None,
                after=get(b"a%d" % n) or None,
            )
        )
        n += 1
    try:
        trail = codec.decode("trail", get(b"head", b""), Trail, where="log entry")
    except WireError:
        # The trail explains a change; it must not keep the change itself from being applied.
        trail = Trail()
    return Entry(
        version=version,
        previous=get(b"prev", b"").decode("utf-8", "replace"),
        kind="resync" if get(b"kind") == b"resync" else "delta",
        complete=get(b"complete") == b"1",
        changes=tuple(changes),
        trail=trail,
        id=entry_id.decode(),
    )


class _Step:
    """A script in its two forms: as it is, and as it may run on a full server once the logs are trimmed."""

    def __init__(self, name: str) -> None:
        self.plain: Script = load(name)
        self.roomy: Script = load(name, roomy=True)


_repair = load("repair", roomy=True)
_write, _stage, _swap, _fence, _trim = _Step("write"), _Step("stage"), _Step("swap"), _Step("fence"), _Step("trim")


def new_nonce() -> str:
    """A random name for one write (72 bits)."""
    return secrets.token_urlsafe(9)


class _Write(msgspec.Struct, frozen=True, kw_only=True):
    """One write: by whom, why, and on which state. `basis`: the nonce that must stand in the hash, empty for none."""

    token: Token
    trail: Trail
    origin: Version | None
    here: Version | None
    basis: bytes
    renew: bool = False
    confirm: bool = False
    complete: bool = False
    nonce: str


class StateWriter:
    """Writes one partition. Not thread-safe: a partition has one owner, and the owner one thread that writes.

    Every method raises `BusUnavailable`, `BusFull` or `Fenced`. After any of them, and after `Diverged`, the caller
    goes on with `replace` and its whole state.
    """

    def __init__(
        self,
        bus: Bus,
        partition: Partition,
        *,
        retention: Retention = RETENTION,
        most_fields: int = MOST_FIELDS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.partition = partition
        self.version: Version | None = None
        self.bytes_sent = 0
        self._bus = bus
        self._retention = retention
        self._most_fields = most_fields
        self._most_bytes = most_bytes
        self._known: set[str] = set()
        self._adopt = True

    def read(self) -> Snapshot:
        """The state as it is. A writer that has written nothing yet goes by what it reads."""
        try:
            snapshot = snapshot_of(self._bus.command("HGETALL", self.partition.state))
        except Corrupted:
            # Whoever may write here may also put it right; what is found then is a state that is missing.
            self._put_right()
            snapshot = Snapshot()
        if self._adopt:
            self._went_to(snapshot.version)
        return snapshot

    def fence(self, token: Token) -> None:
        """Shuts every former owner out, before the new one reads or lists anything. The hash is then read afresh."""
        try:
            self._run(_fence, [self.partition.fence], [token.epoch, token.nonce])
        except Corrupted:
            self._put_right()
            self._run(_fence, [self.partition.fence], [token.epoch, token.nonce])
        self._adopt = True
        self._known.clear()
        self.version = None

    def verify(self) -> bool:
        """Is the state still at the version that this writer wrote? One cheap read."""
        [values] = self._bus.pipeline([("HMGET", self.partition.state, *VERSION_MARKS)])
        have = version_of(*values) if values else None
        return have is not None and have.same(self.version)

    def write(
        self, changes: Mapping[str, bytes | None], *, token: Token, trail: Trail, origin: Version | None = None
    ) -> Version | None:
        """Upserts and removals in one step with their log entry. None where nothing really differed.

        Raises `Diverged` where the state is missing or is not the one that this writer goes by.
        """
        if self._adopt:
            self.read()
        if self.version is None:
            raise Diverged(f"the partition {self.partition.state} is missing; replace it with the whole state")
        step = _Write(
            token=token, trail=trail, origin=origin, here=self.version, basis=self.version.nonce.encode(),
            nonce=new_nonce(),
        )  # fmt: skip
        if not self._too_large(changes):
            try:
                return self._write(changes, step)
            except Corrupted as error:
                raise Diverged(f"{error}; replace it with the whole state") from error
        fields = self.read().fields
        for field, value in changes.items():
            if value is None:
                fields.pop(field, None)
            else:
                fields[field] = value
        return self._swap_in(fields, step)

    def replace(
        self, fields: Mapping[str, bytes], *, token: Token, trail: Trail, origin: Version | None = None
    ) -> Version | None:
        """The whole state, marked complete: only what differs from the hash is written, removals included.

        Begins a new generation where the hash is missing or this writer's last write is gone. None where the hash
        already held exactly this and this writer has written it before: the first of a term is written in any case,
        since readers hold back what they find older than what they have until its owner has confirmed it.
        """
        try:
            return self._replace(fields, token, trail, origin)
        except Corrupted:
            # It has been put right; what there was of the state is written over.
            return self._replace(fields, token, trail, origin)

    def _replace(
        self, fields: Mapping[str, bytes], token: Token, trail: Trail, origin: Version | None
    ) -> Version | None:
        snapshot = self.read()
        here = snapshot.version
        step = _Write(
            token=token, trail=trail, origin=origin, here=here, basis=snapshot.nonce, complete=True, nonce=new_nonce(),
            confirm=self._adopt, renew=here is None or (not self._adopt and here.nonce not in self._known),
        )  # fmt: skip
        changes: dict[str, bytes | None] = {f: v for f, v in fields.items() if snapshot.fields.get(f) != v}
        changes |= dict.fromkeys(snapshot.fields.keys() - fields.keys())
        return self._swap_in(fields, step) if self._too_large(changes) else self._write(changes, step)

    def _put_right(self) -> None:
        self._bus.run(_repair, self.partition_keys(), [])

    def _too_large(self, changes: Mapping[str, bytes | None]) -> bool:
        size = sum(len(v) for v in changes.values() if v)
        return len(changes) > self._most_fields or size > self._most_bytes

    def _write(self, changes: Mapping[str, bytes | None], step: _Write) -> Version | None:
        args = self._head(step)
        for field, value in changes.items():
            args += [field.encode("utf-8", "surrogateescape"), value or b""]
        return self._versioned(_write, self.partition_keys(), args, step)

    def _swap_in(self, fields: Mapping[str, bytes], step: _Write) -> Version | None:
        staging = self.partition.staging(step.nonce)
        keys = [staging, self.partition.fence]
        for part in _parts(fields, self._most_fields, self._most_bytes):
            args: list[Argument] = [step.token.epoch, step.token.nonce, _STAGING_TTL_MS]
            for field, value in part:
                args += [field.encode("utf-8", "surrogateescape"), value]
            self._run(_stage, keys, args)
        return self._versioned(_swap, (*self.partition_keys(), staging), [*self._head(step), len(fields)], step)

    def partition_keys(self) -> tuple[str, str, str]:
        """State, log, fence: the keys of every writing script, in its order."""
        return self.partition.state, self.partition.log, self.partition.fence

    def _head(self, step: _Write) -> list[Argument]:
        return [
            step.token.epoch,
            step.token.nonce,
            step.basis,
            step.nonce,
            new_nonce() if step.renew else "",
            "1" if step.complete else "",
            _format_version(step.origin),
            codec.SCHEMA,
            codec.encode("trail", step.trail),
            int(self._retention.seconds * 1000),
            self._retention.most_bytes,
            "1" if step.confirm else "",
        ]

    def _versioned(self, script: _Step, keys: Sequence[str], args: Sequence[Argument], step: _Write) -> Version | None:
        # A time-out does not tell whether the step was taken: both outcomes are then ours.
        self._known.add(step.nonce)
        try:
            answer = self._run(script, keys, args)
        except Diverged:
            self.version = None
            raise
        except Corrupted:
            self.version = None
            self._put_right()
            raise
        self._adopt = False
        if not answer:
            self._went_to(step.here)
            return None
        version = version_of(*answer, b"%d" % step.token.epoch)
        self._went_to(version)
        return version

    def _went_to(self, version: Version | None) -> None:
        self.version = version
        self._known = {version.nonce} if version else set()

    def _run(self, step: _Step, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        self.bytes_sent += sum(len(a) for a in args if isinstance(a, bytes))
        try:
            return self._bus.run(step.plain, keys, args)
        except BusFull:
            # State matters more than history: give the log's memory back, then write on a full server.
            self._bus.run(_trim.roomy, [self.partition.log], [_ENTRIES_WHEN_FULL])
            return self._bus.run(step.roomy, keys, args)
        except BusUnavailable:
            self.version = None
            raise


def _parts(fields: Mapping[str, bytes], most_fields: int, most_bytes: int) -> Iterator[list[tuple[str, bytes]]]:
    part: list[tuple[str, bytes]] = []
    size = 0
    for field, value in fields.items():
        if part and (len(part) >= most_fields or size + len(value) > most_bytes):
            yield part
            part, size = [], 0
        part.append((field, value))
        size += len(value)
    if part:
        yield part
