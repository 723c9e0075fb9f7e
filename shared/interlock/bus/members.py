"""The workers of a pool: who of them lives, by the server's clock, so that all of them share alike."""

from __future__ import annotations

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.scripts import load

TTL = 1.0
"""Seconds for which a worker counts as living after it said so: less than a lease, whose end others then wait for."""

_stay = load("members", roomy=True)


class PoolMembers:
    """The hash `il:{<region>}:pool:<pool>`. Every method raises `BusUnavailable`, or another `BusError`."""

    def __init__(self, bus: Bus, region: str, pool: str, *, ttl: float = TTL) -> None:
        self._bus = bus
        self._key = keys.pool_members(region, pool)
        self._ttl = ttl

    def stay(self, worker: str) -> tuple[str, ...]:
        """Says that this worker lives; those that do, sorted, itself among them."""
        return self._say(worker, self._ttl)

    def leave(self, worker: str) -> None:
        """Says that it ends, so that the others need not wait for that."""
        self._say(worker, 0.0)

    def _say(self, worker: str, ttl: float) -> tuple[str, ...]:
        answer = self._bus.run(_stay, [self._key], [worker, int(ttl * 1000)])
        return tuple(sorted(name.decode("utf-8", "replace") for name in answer))
