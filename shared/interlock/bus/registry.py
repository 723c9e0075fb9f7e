"""The registry of service clusters: which there are, even when their last service is gone.

A cluster is registered before its first service is written, so that planners that go by the registry and the services
miss none.
"""

from __future__ import annotations

from interlock.bus.connection import Bus
from interlock.bus.keys import CLUSTERS
from interlock.model.names import Cluster
from interlock.wire import codec


class Registry:
    """The hash `il:clusters`. Every method raises `BusUnavailable`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def clusters(self, region: str | None = None) -> tuple[Cluster, ...]:
        """All clusters, or those of one region, sorted."""
        fields = (field.decode("ascii", "replace") for field in self._bus.command("HKEYS", CLUSTERS))
        # What does not read back as itself was not written by us, and names no partition of ours.
        names = (cluster for field in fields if str(cluster := Cluster.parse(field)) == field)
        return tuple(sorted(c for c in names if region is None or c.region == region))

    def register(self, cluster: Cluster) -> None:
        """Makes the cluster known; nothing happens when it is."""
        self._bus.command("HSETNX", CLUSTERS, str(cluster), codec.encode("cluster", {"region": cluster.region}))
