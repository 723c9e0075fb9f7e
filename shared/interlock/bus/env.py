"""A region's facts: what its watcher knows of Docker and of itself. Written under its lease, read by anyone."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.scripts import load
from interlock.model.version import Token

_set = load("fields", roomy=True)


class RegionEnv:
    """The hash `il:{<region>}:env`. Every method raises `BusUnavailable`; `write` raises `Fenced`."""

    def __init__(self, bus: Bus, region: str) -> None:
        self._bus = bus
        self._key = keys.env(region)

    def write(self, fields: Mapping[str, bytes | None], token: Token) -> None:
        """Sets or removes (None) fields; the values are frames."""
        args: list[str | bytes | int] = [token.epoch, token.nonce]
        for name, value in fields.items():
            args += [name, value or b""]
        self._bus.run(_set, [self._key, f"{self._key}:fence"], args)

    def read(self) -> dict[str, bytes]:
        """All fields; empty where no watcher has written yet."""
        return {
            name.decode("utf-8", "replace"): value for name, value in self._bus.command("HGETALL", self._key).items()
        }

    def field(self, name: str) -> bytes | None:
        """One field; None where it is not there."""
        value: bytes | None = self._bus.command("HGET", self._key, name)
        return value
