"""Every label by name: what is built, in the order of the documentation. A new label is entered here, by hand."""

from __future__ import annotations

from typing import Any

from interlock.labels.backends import BACKEND_MODE, NETWORK, PORT
from interlock.labels.clusters import SERVICE_CLUSTER
from interlock.labels.hosts import DEFAULT_BACKEND, HOSTS
from interlock.labels.label import Label
from interlock.labels.later import LATER
from interlock.labels.paths import CONTEXT_ROOT, CONTEXT_ROOT_REWRITE

LABELS: dict[str, Label[Any]] = {
    label.name: label
    for label in (
        HOSTS,
        PORT,
        NETWORK,
        SERVICE_CLUSTER,
        CONTEXT_ROOT,
        CONTEXT_ROOT_REWRITE,
        DEFAULT_BACKEND,
        BACKEND_MODE,
    )
}

KNOWN: tuple[str, ...] = (*LABELS, *LATER)
"""Names that are no typing mistake."""
