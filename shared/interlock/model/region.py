"""What a region's watcher says of Docker and of itself; kept in the region's facts, shown by `interlock status`."""

from __future__ import annotations

import msgspec


class WatcherStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The acting watcher of a region. Times in Unix seconds, durations in seconds.

    `stale_since`: since when Docker has not answered as it should; None while all is fresh. What is stale is still
    served. `poll_interval`: the interval in force, which is the wanted one stretched to bound the cost.
    """

    owner: str
    at: float
    docker: str = ""
    api_version: str = ""
    services: int = 0
    tasks: int = 0
    nodes: int = 0
    unsettled: int = 0
    poll_interval: float = 0.0
    listed_at: float | None = None
    listing_seconds: float = 0.0
    stale_since: float | None = None
    stale_reason: str = ""
    counters: dict[str, float] = {}
