"""What a region's watcher says of itself; kept on the bus for `status`, the gateway and alerts."""

from __future__ import annotations

import msgspec


class WatcherStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the watcher that acts for a region. Durations in seconds, times in Unix seconds: on the bus by the
    server's clock, whatever the watcher's own says.

    `at`: when this was written, at least every few seconds; an old one means that no watcher acts. `stale_since`: since
    when what is on the bus may not be what Docker has (nothing is withdrawn meanwhile); None while it is fresh, and
    `reason` says why. `poll_interval`: the interval in force, which may be stretched. `unreadable`: services whose
    objects made no sense, by id, with the reason; their last good state stays. `held_since`: since when something
    implausible that Docker says is held back until a second reading says the same; None where nothing is, and `held`
    says what. `clock_jumped_at`, `clock_jumped_by`: when the watcher's clock last jumped, and by how much.
    """

    owner: str
    at: float
    docker_url: str = ""
    docker_reachable: bool = False
    events_connected: bool = False
    api_version: str = ""
    engine_version: str = ""
    last_listing: float | None = None
    listing_seconds: float = 0.0
    poll_interval: float = 0.0
    stale_since: float | None = None
    reason: str = ""
    services: int = 0
    unsettled: int = 0
    unreadable: dict[str, str] = {}
    held_since: float | None = None
    held: str = ""
    clock_jumped_at: float | None = None
    clock_jumped_by: float = 0.0
    counters: dict[str, float] = {}

    def dated(self, at: float) -> WatcherStatus:
        """The same, written at the time `at` of another clock."""
        by = at - self.at

        def moved(time: float | None) -> float | None:
            return None if time is None else time + by

        return msgspec.structs.replace(
            self,
            at=at,
            last_listing=moved(self.last_listing),
            stale_since=moved(self.stale_since),
            held_since=moved(self.held_since),
            clock_jumped_at=moved(self.clock_jumped_at),
        )
