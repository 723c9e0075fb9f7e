"""When the next attempt at the proxy may be made: pure. Times are monotonic seconds, given by the caller."""

from __future__ import annotations

_LONGEST = 2.0
_FIRST = 0.1
_REFUSALS_AT_ONCE = 8
"""How many refusals in a row, each of something new, are followed by the next attempt without a pause."""


class Pace:
    """`again_at`: from when on the next attempt may be made."""

    def __init__(self) -> None:
        self.again_at = 0.0
        self._pause = _FIRST
        self._refusals = 0

    def failed(self, now: float) -> None:
        """Something that another attempt may overcome, or not: each pause is twice as long."""
        self.again_at = now + self._pause
        self._pause = min(_LONGEST, self._pause * 2)

    def refused(self, now: float, *, isolated: bool) -> None:
        """The proxy refused. `isolated`: the next attempt leaves out something that this one did not."""
        self._refusals += 1
        if not isolated:
            self.failed(now)
        elif self._refusals > _REFUSALS_AT_ONCE:
            # Neighbours proceed at once, but not past a stream of refusals.
            self.again_at = now + _FIRST

    def started(self) -> None:
        """The proxy runs."""
        self._pause = _FIRST

    def settled(self) -> None:
        """An attempt came to its end."""
        self._pause, self._refusals = _FIRST, 0
