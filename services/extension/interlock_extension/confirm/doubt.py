"""When there is reason to doubt the plan's addresses: pure; the time is given (monotonic seconds).

There is while the plan on the bus cannot be read, while no watcher acts for the region, and for a while afterwards: the
plan of a bus that is back may be older than what Docker has, until the watcher has listed. Before the first plan is
read, what was last good is in doubt.
"""

from __future__ import annotations

AFTERWARDS = 15.0
"""Seconds. A watcher takes over within 1.5 s, and lists 10,000 services within a few."""


class Doubt:
    """Doubtful from the start."""

    def __init__(self) -> None:
        self._until: float | None = None

    def see(self, *, stale: bool, now: float) -> None:
        """What holds now: whether the plan may have moved on without us."""
        if stale:
            self._until = None
        elif self._until is None:
            self._until = now + AFTERWARDS

    def holds(self, now: float) -> bool:
        """Whether addresses are to be confirmed."""
        return self._until is None or now < self._until


class LastWord:
    """Whether a region's watcher acts, from the times that it writes of itself. Our clock may differ from its."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._last: float | None = None
        self._heard_at = 0.0

    def hear(self, wrote_at: float | None, server_time: float, now: float) -> float:
        """For how long it has been silent. `wrote_at`: None where there is no word of it. `now`: monotonic."""
        if wrote_at is None:
            return self._longest * 2
        if wrote_at != self._last:
            # The first word may be an old one; later ones are news, whatever the clocks say.
            age = max(0.0, server_time - wrote_at) if self._last is None else 0.0
            self._last, self._heard_at = wrote_at, now - age
        return now - self._heard_at
