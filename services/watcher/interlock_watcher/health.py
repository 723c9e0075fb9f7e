"""Whether what we know of Docker is fresh. Pure; the clock is an argument. Kept by `watch`, told by `publish`."""

from __future__ import annotations

import msgspec

_SLACK = 2.0
_REMEMBERED = 3


class Health(msgspec.Struct, kw_only=True):
    """What the loops have noticed. Times in Unix seconds of a clock that never jumps.

    `failing_since`: since when reads of Docker fail, with the last error. `unknown_since`: since when no node's state
    is known. A listing that merely takes too long counts as well, since an engine may hang without an error.
    `jumped_at`, `jumped_by`: when the wall clock last jumped, and by how many seconds.
    `costs`: seconds that the last few listings took.
    """

    started: float
    poll_interval: float
    last_listing: float | None = None
    listing_seconds: float = 0.0
    failing_since: float | None = None
    error: str = ""
    unknown_since: float | None = None
    stream_lost_since: float | None = None
    jumped_at: float | None = None
    jumped_by: float = 0.0
    costs: tuple[float, ...] = ()
    events_connected: bool = False
    counters: dict[str, float] = msgspec.field(default_factory=dict)

    def count(self, what: str, by: float = 1) -> None:
        """One more of something."""
        self.counters[what] = self.counters.get(what, 0) + by

    def failed(self, now: float, error: str) -> None:
        """A read failed."""
        self.count("read_failures")
        self.error = error
        if self.failing_since is None:
            self.failing_since = now

    def listed(self, now: float, seconds: float, *, nodes_unknown: bool) -> None:
        """A full listing was read and applied: whatever failed before is healed."""
        self.count("listings")
        self.last_listing, self.listing_seconds = now, seconds
        self.failing_since, self.error = None, ""
        self.costs = (*self.costs, seconds)[-_REMEMBERED:]
        self.unknown_since = (self.unknown_since or now) if nodes_unknown else None

    def clock_jumped(self, now: float, seconds: float) -> None:
        """The wall clock jumped by so many seconds."""
        self.count("clock_jumps")
        self.jumped_at, self.jumped_by = now, seconds

    @property
    def listing_cost(self) -> float:
        """Seconds that a listing costs: the least of the last few, as one may have waited for an engine that hung."""
        return min(self.costs, default=0.0)

    def stream(self, now: float, *, connected: bool) -> bool:
        """The event stream opened or ended; whether that is news."""
        news = connected != self.events_connected
        self.events_connected = connected
        self.stream_lost_since = None if connected else (self.stream_lost_since or now)
        return news

    def stale(self, now: float) -> tuple[float | None, str]:
        """Since when the state may not be Docker's, and why; (None, "") while it is fresh."""
        reasons: list[tuple[float, str]] = []
        if self.failing_since is not None:
            reasons.append((self.failing_since, self.error))
        if self.stream_lost_since is not None:
            reasons.append((self.stream_lost_since, "Docker's event stream is cut: changes are seen by polling only"))
        if self.last_listing is None:
            return min([*reasons, (self.started, "nothing has been listed yet")])
        expected = self.last_listing + self.poll_interval
        if now > expected + max(_SLACK, 2 * self.listing_seconds):
            reasons.append((expected, "Docker takes too long to list everything"))
        if self.unknown_since is not None:
            reasons.append((self.unknown_since, "Docker knows the state of no node"))
        return min(reasons) if reasons else (None, "")
