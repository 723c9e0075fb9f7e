"""What the worker says of its proxy: the facts of the outcome, gathered from those who hold them. Shell.

Only the worker's thread calls it; the herald publishes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from interlock.model.outcome import Drain, HostRejection, Outcome, Result, Unreachable
from interlock.model.routing import DEFAULT_HOST
from interlock.model.version import Version
from interlock.runtime.logging import get_logger
from interlock.wire.fields import policy_digest
from interlock.wire.trail import Trail
from interlock_extension.change import Drafting
from interlock_extension.confirm.desk import Desk
from interlock_extension.desired import Desired
from interlock_extension.drains import LATEST, Ledger
from interlock_extension.herald import Herald
from interlock_extension.intake import Intake
from interlock_extension.meters import PROXYS_OWN, Meters
from interlock_extension.reach import unreachable

_ROUTES = Path("/proc/net/route")


class Report:
    """`gauges`: what the proxy's control reports."""

    def __init__(
        self,
        *,
        herald: Herald,
        meters: Meters,
        desired: Desired,
        intake: Intake,
        drafting: Drafting,
        ledger: Ledger,
        desk: Desk,
    ) -> None:
        self.gauges: Mapping[str, float] = {}
        self._herald = herald
        self._meters = meters
        self._desired = desired
        self._intake = intake
        self._drafting = drafting
        self._ledger = ledger
        self._desk = desk
        self._drains: tuple[Drain, ...] = ()
        self._misses = 0
        self._unreachable: tuple[Unreachable, ...] = ()
        self._log = get_logger(service="extension")

    def drained(self, drains: Iterable[Drain]) -> None:
        """An apply ended these."""
        latest = tuple(drains)
        self._drains = (*self._drains, *latest)[-LATEST:]
        self._misses += sum(drain.margin < 0 for drain in latest)

    def say(
        self,
        result: Result,
        reason: str,
        *,
        version: Version | None = None,
        trail: Trail | None = None,
        effective_at: float | None = None,
    ) -> None:
        """Something happened to the proxy."""
        before = self._herald.present
        if self._intake.unreadable:
            reason = f"{reason}; kept as it was, since unreadable: {self._intake.unreadable}".lstrip("; ")
        cause = trail.causes[0].id if trail and trail.causes else before.cause
        # A first version that was only read from disk is what runs, too.
        self._herald.say(
            msgspec.structs.replace(
                self._facts(before),
                result=result,
                reason=reason,
                version=version or (self._intake.version if before.version is None else before.version),
                at=time.time(),
                effective_at=effective_at if effective_at is not None else before.effective_at,
                hops=trail.hops if trail else before.hops,
                cause=cause,
            ),
            news=True,
        )

    def refresh(self, *, news: bool = False) -> None:
        """The same with the present facts."""
        self._herald.say(self._facts(self._herald.present), news=news)

    def look_for_unreachable(self) -> None:
        """Which services' networks this proxy has no part in; called about once a second."""
        found = unreachable(self._desired.unheard(), _routes()) if self._desired.waiting else ()
        for one in found:
            if one.service not in {said.service for said in self._unreachable}:
                self._log.warning("cannot be reached", what=str(one))
        self._unreachable = found

    def _facts(self, before: Outcome) -> Outcome:
        served, tried = self._desired.served, self._desired.tried
        rejections = tuple(
            sorted(
                HostRejection(
                    host=host,
                    reason=r.reason,
                    # A guess would hold, for all proxies, a host that may be innocent.
                    refused=policy_digest(r.policy) if r.exact else "",
                    # Not what is served: of that, the proxy may not have been given what it refuses.
                    kept=policy_digest(tried[host]) if host in tried else "",
                )
                for host, r in self._desired.refused.items()
            )
        )
        # The proxy's own change with each request, and are for metrics alone.
        reported = {what: value for what, value in self.gauges.items() if what not in PROXYS_OWN}
        self._meters.state(self._desired, self._intake, self._ledger.endpoints, self.gauges)
        return msgspec.structs.replace(
            before,
            hosts=len(served) - (DEFAULT_HOST in served),
            upstreams=self._drafting.upstreams,
            endpoints=self._ledger.endpoints,
            waiting=self._desired.waiting,
            stale_since=self._intake.stale_since,
            stale_reason=self._intake.stale_reason or self._intake.unwatched,
            rejections=rejections,
            untried=self._drafting.untried,
            denied=self._desk.denied,
            unreachable=self._unreachable,
            drains=self._drains,
            drain_misses=self._misses,
            counters={**self._meters.counters, **reported, "endpoints_silent": float(len(self._desired.silent))},
        )


def _routes() -> str | None:
    try:
        return _ROUTES.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
