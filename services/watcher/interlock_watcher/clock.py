"""The watcher's clock: the two clocks of the machine, compared. Shell around `interlock.sync.steady`."""

from __future__ import annotations

import time
from collections.abc import Callable

from interlock.sync.steady import SteadyClock


class Clock:
    """Any thread may ask; one alone calls `look`."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._clock = SteadyClock(wall(), steady())

    def now(self) -> float:
        """Unix seconds that never jump: for waiting, and for comparing moments of this process."""
        return self._clock.now(self._steady())

    def dated(self) -> float:
        """Unix seconds as others reckon them: for what they read."""
        return self.now() + self.offset

    @property
    def offset(self) -> float:
        """What to add to a moment of `now` to get what others call it."""
        return self._clock.offset

    def look(self) -> float | None:
        """The seconds by which the wall clock has jumped, once that is confirmed; else None."""
        return self._clock.look(self._wall(), self._steady())
