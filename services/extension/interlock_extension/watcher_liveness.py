"""Whether a watcher acts for the region, from what it says of itself on the bus. Shell; one cheap read a second.

Without one the plan is readable and yet falls behind Docker, so that its addresses are in doubt.
"""

from __future__ import annotations

import time

from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.errors import BusError, WireError
from interlock.inspection.view import WATCHER, WATCHER_SILENT_AFTER
from interlock.model.region import WatcherStatus
from interlock.wire import codec
from interlock_extension.confirm.doubt import LastWord

_EVERY = 1.0


class WatcherLiveness:
    """Of one region."""

    def __init__(self, bus: Bus, region: str) -> None:
        self._bus = bus
        self._env = RegionEnv(bus, region)
        self._where = f"watcher of {region}"
        self._last_word = LastWord(WATCHER_SILENT_AFTER)
        self._look_at = 0.0
        self._said: str | None = None

    def look(self) -> str | None:
        """Why no watcher acts, empty where one does; None where that is as before.

        Never an error: where its word cannot be read, nobody is known to act, and the plan is none the worse for it.
        """
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._look_at = now + _EVERY
        try:
            said = self._reason(now)
        except BusError as error:
            said = f"the watcher's word cannot be read: {error}"
        if said == self._said:
            return None
        self._said = said
        return said

    def _reason(self, now: float) -> str:
        data = self._env.field(WATCHER)
        try:
            watcher = codec.decode("watcher", data, WatcherStatus, where=self._where) if data else None
        except WireError:
            watcher = None
        server_time = self._bus.server_time()
        silent = self._last_word.hear(watcher.at if watcher else None, server_time, now)
        if silent > WATCHER_SILENT_AFTER:
            return "no watcher acts"
        if watcher is None or (watcher.stale_since is None and watcher.held_since is None):
            return ""
        return "the watcher cannot ask Docker" if watcher.held_since is None else "the watcher doubts what Docker says"
