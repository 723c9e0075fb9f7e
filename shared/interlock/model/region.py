"""What a region's watcher says of itself; kept on the bus for `status`, the gateway and alerts."""

from __future__ import annotations

import msgspec


class WatcherStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the watcher that acts for a region. Times in Unix seconds, durations in seconds.

    `at`: when this was written, at least every few seconds; an old one means that no watcher acts. `stale_since`: since
    when what is on the bus may not be what Docker has (nothing is withdrawn meanwhile); None while it is fresh, and
    `reason` says why. `poll_interval`: the interval in force, which may be stretched. `unreadable`: services whose
    objects made no sense, by id, with the reason; their last good state stays.
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
    counters: dict[str, float] = {}
