"""The worker's metrics and the exact counters that travel with its outcomes. Kept by the loop, never by the core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from interlock.model.outcome import Drain
from interlock.runtime.metrics import Metrics
from interlock_extension.bring import Applied
from interlock_extension.change import Draft
from interlock_extension.desired import Desired
from interlock_extension.intake import Intake

PROXYS_OWN = {
    "connections_active": "Connections of clients that are open, idle ones too",
    "connections_reading": "Of them those whose request is being read",
    "connections_writing": "Of them those that are being answered",
    "connections_waiting": "Of them those that are idle",
    "connections_limit": "Connections of clients that it takes at most",
    "connections_accepted_total": "Connections of clients that were accepted",
    "connections_handled_total": "Of them those that were not dropped for a limit",
    "sessions_per_second": "Sessions that began in the last second",
    "requests_total": "Requests of clients",
}
"""What a control may report of the proxy's own figures, each then a metric `interlock_extension_proxy_…`."""

_MARGINS = (-10.0, -5.0, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)


class Meters:
    """`counters` are totals since the worker's start, and how many endpoints are denied at present."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.counters: dict[str, float] = dict.fromkeys(("hosts_rendered", "files_written", "bytes_written"), 0.0)
        self._rendered = metrics.counter("hosts_rendered_total", "Virtual hosts that were rendered")
        self._files = metrics.counter("files_written_total", "Files of the proxy that were written or removed")
        self._bytes = metrics.counter("bytes_written_total", "Bytes of the proxy's files that were written")
        self._applies = metrics.counter("applies_total", "Changes by what they came to", ["result"])
        self._reloads = metrics.counter("proxy_reloads_total", "Reloads, by what was not possible in place", ["why"])
        self._seconds = metrics.histogram("apply_seconds", "From the start of an apply to its proof")
        self._margin = metrics.histogram(
            "drain_margin_seconds", "Budget left when a draining endpoint was let go", (), _MARGINS
        )
        self._misses = metrics.counter("drain_misses_total", "Draining endpoints that were let go too late")
        self.rejections = metrics.counter("rejections_total", "Virtual hosts that the proxy refused")
        self.restarts = metrics.counter("proxy_restarts_total", "Times that the proxy had died")
        self._hosts = metrics.gauge("hosts", "Virtual hosts that are served")
        self._endpoints = metrics.gauge("endpoints", "Endpoints in use")
        self._waiting = metrics.gauge("endpoints_waiting", "Wanted endpoints that have not accepted a connection yet")
        self._denied = metrics.gauge("endpoints_denied", "Endpoints whose address is not theirs any more, says DNS")
        self._stale = metrics.gauge("stale_since_seconds", "Unix time since when the plan may be out of date; 0: fresh")
        self._proxy = metrics.gauge("proxy", "What the proxy's control reports", ["what"])

    def applied(self, draft: Draft, applied: Applied | None, drains: Iterable[Drain]) -> None:
        """A draft was settled."""
        written = len(draft.files)
        self.counters["hosts_rendered"] += draft.rendered
        self.counters["files_written"] += written
        self.counters["bytes_written"] += draft.bytes_written
        self._rendered.inc(draft.rendered)
        self._files.inc(written)
        self._bytes.inc(draft.bytes_written)
        self._applies.labels(applied.result if applied else "unchanged").inc()
        if applied:
            self._seconds.observe(applied.proof.effective_at - applied.proof.applying_at)
            if applied.because:
                self._reloads.labels(applied.because).inc()
        for drain in drains:
            self._margin.observe(drain.margin)
            if drain.margin < 0:
                self._misses.inc()

    def state(self, desired: Desired, intake: Intake, endpoints: int, gauges: Mapping[str, float]) -> None:
        """What holds now."""
        self._hosts.set(len(desired.served))
        self._endpoints.set(endpoints)
        self._waiting.set(desired.waiting)
        self._denied.set(len(desired.denied))
        self.counters["endpoints_denied"] = float(len(desired.denied))
        self._stale.set(intake.stale_since or 0.0)
        for what, value in gauges.items():
            if what not in PROXYS_OWN:
                self._proxy.labels(what).set(value)
                continue
            # Made where it is known only: none would be a figure, too.
            make = self._metrics.total if what.endswith("_total") else self._metrics.gauge
            make(f"proxy_{what}", PROXYS_OWN[what]).set(value)
