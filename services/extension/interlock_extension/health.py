"""Whether the proxy serves what it should, for the container's health check. A shell that only looks.

Healthy is who serves the version that it should. A plan that may be out of date is said and is not death: a restart
would not make it fresher, and would cost what is served. The same holds where a change cannot be brought into effect:
what was last accepted is served. Unhealthy is who serves nothing, or something else, and whose worker gives no sign of
life.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from interlock.model.outcome import Outcome
from interlock.runtime.health import State
from interlock_extension.herald import Herald

PLANLESS = 5.0
"""Seconds on a bus without a plan until the proxy of a service cluster that nobody uses yet counts as healthy."""

_LONGEST_APPLY = 75.0
_BUS_SILENCE = 5.0


class ProxyHealth:
    """`witness` is the control's; `alive_at` when the worker's last turn was, by `steady`, the monotonic clock."""

    def __init__(
        self,
        herald: Herald,
        witness: Callable[[], tuple[str, tuple[str, ...]] | None],
        alive_at: Callable[[], float],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._herald = herald
        self._witness = witness
        self._alive_at = alive_at
        self._clock, self._steady = clock, steady
        self._rejected_since: float | None = None
        self._began = steady()

    def state(self) -> State:
        """What `interlock.runtime.health` writes down."""
        now, present = self._steady(), self._herald.present
        if present.result != "rejected":
            self._rejected_since = None
        elif self._rejected_since is None:
            self._rejected_since = now
        witness = self._witness()
        okay, says = self._judge(now, present, runs=witness is not None)
        quiet = now - self._alive_at()
        # A large apply takes its time. The check has the wall clock alone.
        state: State = {"at": self._clock() - (quiet if quiet >= _LONGEST_APPLY else 0.0), "ok": okay, "says": says}
        if witness is not None:
            state["socket"], state["serves"] = witness[0], list(witness[1])
        return state

    def _judge(self, now: float, present: Outcome, *, runs: bool) -> tuple[bool, str]:
        if not runs:
            return False, f"the proxy does not run: {present.reason or 'starting'}"
        stale = "" if present.stale_since is None else f"; stale for {self._clock() - present.stale_since:.0f} s"
        if present.stale_reason:
            stale = f"{stale or '; may be stale'}: {present.stale_reason}"
        if self._rejected_since is not None:
            stuck = now - self._rejected_since
            # Said, and no death either: what one refused plan would kill is every proxy of the cluster at once.
            return True, f"nothing could be brought into effect for {stuck:.0f} s: {present.reason}{stale}"
        if present.version is None:
            reached = now - self._herald.reached_at < _BUS_SILENCE
            if reached and now - self._began >= PLANLESS:
                return True, "nothing is routed to this service cluster: there is no plan for it on the bus"
            return False, f"starting: {present.reason or 'waiting for the plan'}{'' if reached else '; no bus'}"
        return True, f"serves version {present.version}, {present.hosts} hosts{stale}"
