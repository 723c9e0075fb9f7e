"""A partition's state: what a snapshot and a log entry are, and the writer that changes both in one fenced step.

The writer never trusts its memory after a doubt: `replace` diffs against the hash as it is. Readers are in `follower`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from interlock.bus.connection import Argument, Bus
from interlock.bus.keys import MARK, Partition
from interlock.bus.scripts import Script, load
from interlock.errors import BusFull, BusUnavailable, Diverged, WireError
from interlock.model.version import Token, Version
from interlock.wire import codec
from interlock.wire.trail import Trail

MOST_FIELDS = 1_000
"""Fields that one script changes; Lua unpacks six arguments for each, and its stack ends at 8,000."""

MOST_BYTES = 4 * 1024 * 1024
"""Bytes of values that one script carries; a larger change is staged and renamed, so that the server never stalls."""

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
    this one was derived from. `log_id`: where a reader of the log goes on.
    """

    fields: dict[str, bytes] = {}
    version: Version | None = None
    complete: bool = False
    origin: Version | None = None
    log_id: str = "0-0"


def snapshot_of(raw: Mapping[bytes, bytes] | Sequence[bytes]) -> Snapshot:
    """A snapshot from what HGETALL answered."""
    pairs = raw.items() if isinstance(raw, Mapping) else zip(raw[::2], raw[1::2], strict=True)
    marks: dict[str, str] = {}
    fields: dict[str, bytes] = {}
    for name, value in pairs:
        text = name.decode("utf-8", "surrogateescape")
        if text.startswith(MARK):
            marks[text] = value.decode("utf-8", "replace")
        else:
            fields[text] = value
    return Snapshot(
        fields=fields,
        version=version_of(marks.get("@gen"), marks.get("@seq"), marks.get("@nonce")),
        complete=marks.get("@complete") == "1",
        origin=_parse_version(marks.get("@from", "")),
        log_id=marks.get("@log", "0-0"),
    )


def version_of(generation: str | None, seq: str | None, nonce: str | None) -> Version | None:
    """A version from its three marks; None unless all are there."""
    if not generation or not seq or not nonce or not seq.isdecimal():
        return None
    return Version(generation=generation, seq=int(seq), nonce=nonce)


def _parse_version(text: str) -> Version | None:
    generation, _, rest = text.partition(" ")
    seq, _, nonce = rest.partition(" ")
    return version_of(generation, seq, nonce)


def _format_version(version: Version | None) -> str:
    return f"{version.generation} {version.seq} {version.nonce}" if version else ""


def entry_of(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry | None:
    """A log entry from what XREAD answered; None where it cannot be read, which a reader answers with a resync."""
    get = fields.get
    schema = get(b"v", b"")
    version = version_of(*(get(k, b"").decode("utf-8", "replace") for k in (b"gen", b"seq", b"nonce")))
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


_write, _stage, _swap, _fence, _trim = _Step("write"), _Step("stage"), _Step("swap"), _Step("fence"), _Step("trim")


def new_nonce() -> str:
    """A random name for one write (72 bits)."""
    return secrets.token_urlsafe(9)


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
        snapshot = snapshot_of(self._bus.command("HGETALL", self.partition.state))
        if self._adopt:
            self._went_to(snapshot.version)
        return snapshot

    def fence(self, token: Token) -> None:
        """Shuts every former owner out, before the new one reads or lists anything. The hash is then read afresh."""
        self._run(_fence, [self.partition.fence], [token.epoch, token.nonce])
        self._adopt = True
        self._known.clear()
        self.version = None

    def verify(self) -> bool:
        """Is the state still at the version that this writer wrote? One cheap read."""
        values = self._bus.command("HMGET", self.partition.state, "@gen", "@seq", "@nonce")
        have = version_of(*(v.decode() if v is not None else None for v in values))
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
        if self._too_large(changes):
            fields = self.read().fields
            for field, value in changes.items():
                if value is None:
                    fields.pop(field, None)
                else:
                    fields[field] = value
            return self._swap_in(
                fields, self.version, token=token, trail=trail, origin=origin, renew=False, complete=""
            )
        return self._write(changes, self.version, token=token, trail=trail, origin=origin, renew=False, complete="")

    def replace(
        self, fields: Mapping[str, bytes], *, token: Token, trail: Trail, origin: Version | None = None
    ) -> Version | None:
        """The whole state, marked complete: only what differs from the hash is written, removals included.

        Begins a new generation where the hash is missing or this writer's last write is gone. None where the hash
        already held exactly this.
        """
        snapshot = self.read()
        here = snapshot.version
        renew = here is None or (not self._adopt and here.nonce not in self._known)
        changes: dict[str, bytes | None] = {f: v for f, v in fields.items() if snapshot.fields.get(f) != v}
        changes |= dict.fromkeys(snapshot.fields.keys() - fields.keys())
        if self._too_large(changes):
            return self._swap_in(fields, here, token=token, trail=trail, origin=origin, renew=renew, complete="1")
        return self._write(changes, here, token=token, trail=trail, origin=origin, renew=renew, complete="1")

    def _too_large(self, changes: Mapping[str, bytes | None]) -> bool:
        size = sum(len(v) for v in changes.values() if v)
        return len(changes) > self._most_fields or size > self._most_bytes

    def _write(
        self,
        changes: Mapping[str, bytes | None],
        here: Version | None,
        *,
        token: Token,
        trail: Trail,
        origin: Version | None,
        renew: bool,
        complete: str,
    ) -> Version | None:
        nonce = new_nonce()
        args = [*self._head(here, nonce, token, trail, origin, renew=renew, complete=complete)]
        for field, value in changes.items():
            args += [field.encode("utf-8", "surrogateescape"), value or b""]
        return self._versioned(_write, [*self.partition_keys()], args, here, nonce)

    def _swap_in(
        self,
        fields: Mapping[str, bytes],
        here: Version | None,
        *,
        token: Token,
        trail: Trail,
        origin: Version | None,
        renew: bool,
        complete: str,
    ) -> Version | None:
        nonce = new_nonce()
        staging = self.partition.staging(nonce)
        keys = [staging, self.partition.fence]
        for part in _parts(fields, self._most_fields, self._most_bytes):
            args: list[Argument] = [token.epoch, token.nonce, _STAGING_TTL_MS]
            for field, value in part:
                args += [field.encode("utf-8", "surrogateescape"), value]
            self._run(_stage, keys, args)
        head = self._head(here, nonce, token, trail, origin, renew=renew, complete=complete)
        return self._versioned(_swap, [*self.partition_keys(), staging], [*head, len(fields)], here, nonce)

    def partition_keys(self) -> tuple[str, str, str]:
        """State, log, fence: the keys of every writing script, in its order."""
        return self.partition.state, self.partition.log, self.partition.fence

    def _head(
        self,
        here: Version | None,
        nonce: str,
        token: Token,
        trail: Trail,
        origin: Version | None,
        *,
        renew: bool,
        complete: str,
    ) -> list[Argument]:
        return [
            token.epoch,
            token.nonce,
            here.nonce if here else "",
            nonce,
            new_nonce() if renew else "",
            complete,
            _format_version(origin),
            codec.SCHEMA,
            codec.encode("trail", trail),
            int(self._retention.seconds * 1000),
            self._retention.most_bytes,
        ]

    def _versioned(
        self, step: _Step, keys: Sequence[str], args: Sequence[Argument], here: Version | None, nonce: str
    ) -> Version | None:
        # A time-out does not tell whether the step was taken: both outcomes are then ours.
        self._known.add(nonce)
        try:
            answer = self._run(step, keys, args)
        except Diverged:
            self.version = None
            raise
        self._adopt = False
        if not answer:
            self._went_to(here)
            return None
        version = version_of(*(part.decode() if isinstance(part, bytes) else str(part) for part in answer))
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
