"""What the planner counts, for Prometheus. Kept by the shells; the pure core only has plain numbers."""

from __future__ import annotations

from interlock.model.names import Cluster
from interlock.runtime.metrics import Metrics


class Counters:
    """The planner's metrics, all named `interlock_planner_…`."""

    def __init__(self, metrics: Metrics) -> None:
        self.parsed = metrics.counter("services_parsed_total", "Services whose labels and tasks were read")
        self.planned = metrics.counter("hosts_planned_total", "Virtual hosts computed")
        self.published = metrics.counter("deltas_published_total", "Changes of plans put on the bus")
        self.wholes = metrics.counter(
            "whole_plans_published_total", "Plans compared with the bus as a whole, not as a delta"
        )
        self.sent = metrics.counter("sent_bytes_total", "Bytes sent to the bus for plans")
        self.owned = metrics.gauge("clusters", "Service clusters under this planner's lease")
        self._problems = metrics.gauge(
            "services_with_problems", "Services of a cluster that have problems", ["region", "cluster"]
        )
        self._shown: set[Cluster] = set()

    def problems(self, cluster: Cluster, services: int | None) -> None:
        """How many services of this cluster have problems; None when it is no longer ours to say."""
        if services is not None:
            self._problems.labels(cluster.region, cluster.name).set(services)
            self._shown.add(cluster)
        elif cluster in self._shown:
            self._problems.remove(cluster.region, cluster.name)
            self._shown.discard(cluster)
