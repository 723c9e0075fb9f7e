"""Whether a watcher is to bid for its region's lease: pure; the clock is an argument. Asked by `publish` at every turn.

One that cannot read Docker must not keep from acting another that can. It cannot know of the other, so it stands back
for a moment from time to time; where nobody takes over, it acts again, if only to say that what is known is stale.
"""

from __future__ import annotations

BLIND = 3.0
"""Seconds that Docker may be out of reach until that counts."""

AWAY = 2.5
"""Seconds of standing back: another that bids takes a lease over well within them."""

TERM = 10.0
"""Seconds of acting without Docker until the next."""


class Bidding:
    """Starts as one that does not bid; times in seconds of any steady clock."""

    def __init__(self) -> None:
        self._bids = False
        self._until: float | None = None

    def bids(self, now: float, *, reachable: bool) -> bool:
        """Whether to bid now. `reachable`: Docker has been read and its reads do not fail."""
        if reachable:
            self._bids, self._until = True, None
            return True
        if self._until is None:
            self._until = now + BLIND
        if now >= self._until:
            self._bids = not self._bids
            self._until = now + (TERM if self._bids else AWAY)
        return self._bids
