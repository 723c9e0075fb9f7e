"""What the planner counts, for Prometheus. Kept by the shells; the pure core only has plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from interlock.model.names import Cluster
from interlock.runtime.metrics import Metrics

_CHANGE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)


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
        self._kinds = metrics.gauge(
            "problems", "Problems of a cluster's services", ["region", "cluster", "code", "severity"]
        )
        self._took = metrics.histogram(
            "change_to_effective_seconds",
            "From Docker's word of a change until it is in effect on every proxy of the cluster",
            ["region", "cluster"],
            _CHANGE,
        )
        self._shown: dict[Cluster, set[tuple[str, str]]] = {}

    def problems(self, cluster: Cluster, services: int, kinds: Mapping[tuple[str, str], int]) -> None:
        """How many services of this cluster have problems; how many problems there are, by code and severity."""
        self._problems.labels(cluster.region, cluster.name).set(services)
        shown = self._shown.setdefault(cluster, set())
        # A kind that there was is shown as none: what vanishes is no end to whoever alerts on it.
        for code, severity in shown | kinds.keys():
            count = kinds.get((code, severity), 0)
            self._kinds.labels(cluster.region, cluster.name, code, severity).set(count)
        shown |= kinds.keys()

    def took(self, cluster: Cluster, seconds: Iterable[float]) -> None:
        """So long each of these changes took until all proxies of this cluster had it."""
        for each in seconds:
            self._took.labels(cluster.region, cluster.name).observe(each)

    def no_longer(self, cluster: Cluster) -> None:
        """Another planner says what is wrong in this cluster now."""
        if cluster not in self._shown:
            return
        self._problems.remove(cluster.region, cluster.name)
        for code, severity in self._shown.pop(cluster):
            self._kinds.remove(cluster.region, cluster.name, code, severity)
