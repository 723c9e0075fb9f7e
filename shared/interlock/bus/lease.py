"""Leases: the right to act for a region or a service cluster, held by server time, with a fencing token.

A lease lasts 1.5 s and is renewed every 0.5 s. Holding it is a courtesy that keeps two owners from working against each
other; what makes a late owner harmless is the token, which every partition checks in the very step that writes.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from interlock.bus.connection import Bus
from interlock.bus.scripts import load
from interlock.errors import BusError
from interlock.model.version import Token

TTL = 1.5
"""Seconds that a lease lasts without being renewed."""

RENEW = 0.5
"""Seconds between renewals."""

_AFTER = 0.01
"""Seconds to wait past the end of another's term."""

_take = load("lease", roomy=True)
_give = load("release", roomy=True)

Listener = Callable[[str, Token | None], None]


class Lease:
    """One lease. For one thread; `held` and `token` may be read by others."""

    def __init__(self, bus: Bus, key: str, owner: str, *, ttl: float = TTL) -> None:
        self.key = key
        self.owner = owner
        self._bus = bus
        self._ttl = ttl
        self._token: Token | None = None
        self._until = 0.0
        self._last_epoch = 0
        self.free_in = math.inf
        """Seconds until another's term would end, as the last `acquire` was told; infinite where there is none."""

    @property
    def token(self) -> Token | None:
        """The token of the present term, None when the lease is not held."""
        return self._token if self.held else None

    @property
    def held(self) -> bool:
        """Held for certain, by the local clock: counted from before the renewal was sent."""
        return self._token is not None and time.monotonic() < self._until

    def token_for(self, margin: float) -> Token | None:
        """The token, None where the lease is not certain to be held for so many seconds more."""
        token = self._token
        return token if token is not None and time.monotonic() + margin < self._until else None

    def acquire(self, min_epoch: int = 0) -> Token | None:
        """Takes or renews the lease; None while another holds it. A new term's epoch exceeds `min_epoch`."""
        began = time.monotonic()
        self.free_in = math.inf
        answer = self._bus.run(
            _take,
            [self.key],
            [self.owner, int(self._ttl * 1000), secrets.token_urlsafe(9), min_epoch, self._last_epoch],
        )
        if int(answer[0]) != 1:
            self._token = None
            self.free_in = int(answer[2]) / 1000
            return None
        self._token = Token(epoch=int(answer[1]), nonce=answer[2].decode("ascii", "replace"))
        self._last_epoch = self._token.epoch
        self._until = began + self._ttl
        return self._token

    def release(self) -> None:
        """Gives the lease back at once, so that another need not wait for its end."""
        self._token = None
        self._bus.run(_give, [self.key], [self.owner])


def holders(bus: Bus, leases: Sequence[str]) -> dict[str, str]:
    """Who holds each of these leases now; of those that somebody does. Raises `BusUnavailable`."""
    if not leases:
        return {}
    clock, *answers = bus.pipeline([("TIME",), *(("HMGET", key, "owner", "until") for key in leases)])
    now = int(clock[0]) * 1000 + int(clock[1]) // 1000
    found = {}
    for key, answer in zip(leases, answers, strict=True):
        owner, until = answer or (None, None)
        if owner is not None and until is not None and until.isdigit() and int(until) > now:
            found[key] = owner.decode("utf-8", "replace")
    return found


class LeaseKeeper:
    """Keeps any number of leases renewed in a thread of its own, and tells of every change.

    `on_change(key, token)` is called in the keeper's thread: with a token when a term begins (also after the lease was
    lost with the server's data, which is how a flush is noticed at once), with None when it ends. It must not block.
    """

    def __init__(
        self, bus: Bus, owner: str, on_change: Listener = lambda _key, _token: None, *, ttl: float = TTL
    ) -> None:
        self.owner = f"{owner}#{secrets.token_urlsafe(6)}"
        self._bus = bus
        self._ttl = ttl
        self._on_change = on_change
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._unwanted: list[Lease] = []
        self._told: dict[str, Token | None] = {}
        self._floor: dict[str, int] = {}
        self._failing: set[str] = set()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="leases", daemon=True)

    def start(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def want(self, key: str) -> None:
        """Try to hold this lease from now on; said again, try at once."""
        with self._lock:
            if key not in self._leases:
                self._leases[key] = Lease(self._bus, key, self.owner, ttl=self._ttl)
        self._wake.set()

    def unwant(self, key: str) -> None:
        """Give this lease up."""
        with self._lock:
            lease = self._leases.pop(key, None)
            self._told.pop(key, None)
            if lease is not None:
                # Given back by the keeper's own thread: a renewal that is under way would take it again.
                self._unwanted.append(lease)
        self._wake.set()

    def token(self, key: str, margin: float = 0.0) -> Token | None:
        """The token under which to write now, None when the lease is not held for certain.

        `margin`: seconds for which it has to be held from now on, for a write that takes its time.
        """
        with self._lock:
            lease = self._leases.get(key)
        return lease.token_for(margin) if lease else None

    def outbid(self, key: str, seen: int) -> None:
        """A partition refused our token: begin a new term with a larger epoch."""
        with self._lock:
            self._floor[key] = max(seen, self._floor.get(key, 0))
        self._wake.set()

    def close(self) -> None:
        """Stops renewing and gives every lease back."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._ttl + 5)
        for lease in (*self._leases.values(), *self._unwanted):
            self._give_back(lease)

    def _give_back(self, lease: Lease) -> None:
        if not lease.held:
            return
        try:
            lease.release()
        except BusError:
            structlog.get_logger().info("lease left to expire", key=lease.key)

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            with self._lock:
                leases, unwanted = list(self._leases.values()), self._unwanted
                self._unwanted = []
            for lease in unwanted:
                self._give_back(lease)
            for lease in leases:
                if self._stop.is_set():
                    return
                try:
                    self._renew(lease)
                except Exception:  # noqa: BLE001  # a keeper that ended silently would leave a process that never leads
                    structlog.get_logger().exception("a lease could not be looked after", key=lease.key)
            # A living owner renews long before its end, so a term about to end is an owner that is gone.
            self._wake.wait(min([RENEW, *(lease.free_in + _AFTER for lease in leases)]))

    def _renew(self, lease: Lease) -> None:
        try:
            lease.acquire(self._floor.get(lease.key, 0))
        except BusError as error:
            if lease.key not in self._failing:
                structlog.get_logger().warning("lease not renewed; trying on", key=lease.key, error=str(error))
            self._failing.add(lease.key)
        else:
            self._failing.discard(lease.key)
        token = lease.token
        with self._lock:
            if lease.key not in self._leases or self._told.get(lease.key) == token:
                return
            self._told[lease.key] = token
        self._on_change(lease.key, token)
