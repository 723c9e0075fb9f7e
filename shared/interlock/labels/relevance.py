"""Whether and where a service concerns us, told from its labels alone. The watcher's part of this package."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.labels.known.clusters import SERVICE_CLUSTER
from interlock.labels.label import PREFIX, STACK


def is_interlock_service(labels: Mapping[str, str]) -> bool:
    """Whether any label is ours, known or not: a service with only a misspelt label deserves its Problem."""
    return any(name.startswith(PREFIX) for name in labels)


def service_cluster_of(labels: Mapping[str, str]) -> str:
    """The name of the service cluster that routes the service; empty for the unnamed one.

    A name that cannot be used is the unnamed one's as well: somebody must tell its owner.
    """
    return SERVICE_CLUSTER.read(labels).value or ""


def relevant(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that travel on the bus, sorted by name."""
    return {name: labels[name] for name in sorted(labels) if name.startswith(PREFIX) or name == STACK}
