"""Held policies: what a cluster's planner must know of the past, so that whoever takes over from it knows it too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.scripts import load
from interlock.errors import Corrupted, WireError
from interlock.model.held import Held
from interlock.model.names import Cluster
from interlock.model.version import Token
from interlock.wire import codec

MOST_FIELDS = 1_000
"""Fields that one script sets; each is a step of its own, since a host's record says nothing of another host."""

_set, _repair = load("fields", roomy=True), load("repair", roomy=True)


class HeldPolicies:
    """The hash `il:{c}:held`, under the fence of the cluster's plan. Raises `BusUnavailable`; writing also `Fenced`."""

    def __init__(self, bus: Bus, cluster: Cluster) -> None:
        self._bus = bus
        self._cluster = cluster
        self._key = keys.held(cluster)
        self._plan = keys.plan(cluster)

    def read(self) -> dict[str, Held]:
        """By host. A record that cannot be read is left out: its host is held again when it is refused again."""
        found: dict[str, Held] = {}
        for name, data in self._raw().items():
            host = name.decode("utf-8", "surrogateescape")
            try:
                found[host] = codec.decode("held", data, Held, where=f"held {host} in {self._cluster}")
            except WireError:
                continue
        return found

    def write(self, records: Mapping[str, Held | None], token: Token) -> None:
        """Sets or removes (None) records."""
        self._write({host: codec.encode("held", r) if r else None for host, r in records.items()}, token)

    def replace(self, records: Mapping[str, Held], token: Token) -> None:
        """Makes these the only ones; what is there already is not written again."""
        present = {name.decode("utf-8", "surrogateescape"): data for name, data in self._raw().items()}
        wanted = {host: codec.encode("held", record) for host, record in records.items()}
        changes: dict[str, bytes | None] = dict.fromkeys(present.keys() - wanted.keys())
        changes |= {host: data for host, data in wanted.items() if present.get(host) != data}
        self._write(changes, token)

    def _write(self, fields: Mapping[str, bytes | None], token: Token) -> None:
        for part in _parts(sorted(fields.items())):
            args: list[str | bytes | int] = [token.epoch, token.nonce]
            for host, data in part:
                args += [host.encode("utf-8", "surrogateescape"), data or b""]
            try:
                self._bus.run(_set, [self._key, self._plan.fence], args)
            except Corrupted:
                self._put_right()
                self._bus.run(_set, [self._key, self._plan.fence], args)

    def _raw(self) -> Mapping[bytes, bytes]:
        try:
            found: Mapping[bytes, bytes] = self._bus.command("HGETALL", self._key)
        except Corrupted:
            # A key that is not of our making holds nothing; the next write puts it right.
            return {}
        return found

    def _put_right(self) -> None:
        self._bus.run(_repair, [self._key, self._plan.log, self._plan.fence], [])


def _parts(fields: list[tuple[str, bytes | None]]) -> Iterator[list[tuple[str, bytes | None]]]:
    for start in range(0, len(fields), MOST_FIELDS):
        yield fields[start : start + MOST_FIELDS]
