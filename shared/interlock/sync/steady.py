"""Unix seconds that never jump, and how far the wall clock has jumped from them. Pure; both clocks are arguments.

A wall clock is set by hand, by NTP, and when a virtual machine goes on after a pause. Whoever waits, or compares two
moments of his own, asks `now`; only what others read is dated by the wall clock. A jump counts when a second look,
CONFIRM later, finds the same.
"""

from __future__ import annotations

LEAST = 0.5
"""Seconds by which the clocks must part for a jump; below every time that anything waits for."""

CONFIRM = 0.5
"""Seconds between the two looks that make a jump."""


class SteadyClock:
    """Begins at the wall clock's time `wall`, when the steady clock says `steady`; both in seconds."""

    def __init__(self, wall: float, steady: float) -> None:
        self._anchor = wall - steady
        self._doubted: tuple[float, float] | None = None
        self.offset = 0.0
        """Seconds to add to `now` to get what the wall clock says, as of the last jump that was confirmed."""

    def now(self, steady: float) -> float:
        """The present moment in a reckoning that goes on evenly, whatever happens to the wall clock."""
        return self._anchor + steady

    def look(self, wall: float, steady: float) -> float | None:
        """Compare the clocks: the seconds by which the wall clock has jumped, once that is confirmed; else None."""
        offset = wall - self.now(steady)
        jump = offset - self.offset
        if abs(jump) < LEAST:
            self._doubted = None
            return None
        if self._doubted is None or abs(self._doubted[0] - offset) >= LEAST:
            self._doubted = offset, steady
            return None
        if steady < self._doubted[1] + CONFIRM:
            return None
        self._doubted, self.offset = None, offset
        return jump
