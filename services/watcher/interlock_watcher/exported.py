"""The watcher's state as Prometheus metrics, read from the status record at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from interlock.model.region import WatcherStatus


class StatusCollector(Collector):
    """`interlock_watcher_…`: gauges of the status, and a counter for each of its counters."""

    def __init__(self, status: Callable[[], WatcherStatus]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        status = self._status()
        stale = max(0.0, status.at - status.stale_since) if status.stale_since is not None else 0.0
        held = max(0.0, status.at - status.held_since) if status.held_since is not None else 0.0
        gauges = {
            "stale_seconds": ("Seconds for which the state may not have been Docker's; 0 while fresh.", stale),
            "held_back_seconds": ("Seconds for which an implausible loss is held back; 0 while none is.", held),
            "docker_reachable": ("1 while Docker answers.", float(status.docker_reachable)),
            "events_connected": ("1 while the event stream is open.", float(status.events_connected)),
            "services": ("Services known.", status.services),
            "unsettled_services": ("Services that are read again soon.", status.unsettled),
            "unreadable_services": ("Services whose objects made no sense.", len(status.unreadable)),
            "listing_seconds": ("Seconds that the last full listing took.", status.listing_seconds),
            "poll_interval_seconds": ("Seconds between full listings, as stretched.", status.poll_interval),
        }
        for what, (meaning, value) in gauges.items():
            yield GaugeMetricFamily(f"interlock_watcher_{what}", meaning, value=value)
        for what, value in sorted(status.counters.items()):
            yield CounterMetricFamily(f"interlock_watcher_{what}", f"How many {what.replace('_', ' ')}.", value=value)
