"""Names: the only place where stable names and identifiers are derived."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple
from urllib.parse import quote, unquote

UNNAMED = "~"
"""How the unnamed service cluster (label `service_cluster` absent or empty) is written in keys and on screens."""

CLUSTER_NAMES = "letters, digits, '-', '_' and '.', a letter or digit first, at most 63"
"""What the name of a service cluster is made of, for people."""

_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PLAIN = re.compile(r"[^a-z0-9]+")


class Cluster(NamedTuple):
    """A service cluster of a region: the unit of partitioning. `name` is empty for the unnamed cluster."""

    region: str
    name: str

    def __str__(self) -> str:
        """`region/cluster`, each part percent-encoded but for `[A-Za-z0-9_.-]`, the unnamed cluster as `~`."""
        return f"{_encode(self.region)}/{_encode(self.name) if self.name else UNNAMED}"

    @property
    def title(self) -> str:
        """How people read it."""
        return self.name or "(unnamed)"

    @classmethod
    def parse(cls, text: str) -> Cluster:
        """The inverse of `str`."""
        region, _, name = text.partition("/")
        return cls(unquote(region), "" if name == UNNAMED else unquote(name))


def is_cluster_name(text: str) -> bool:
    """Whether a label can name a service cluster so; the unnamed one's is empty."""
    return not text or _CLUSTER.fullmatch(text) is not None


def _encode(part: str) -> str:
    # `~` is unreserved for quote(), but here it stands for the unnamed cluster.
    return quote(part, safe="").replace("~", "%7E")


def upstream_name(host: str, path: str = "/") -> str:
    """The upstream of a host's path: readable, unique, `[a-z0-9_]` only.

    A digest of the exact host and path is appended, since sanitising alone would let `a-b.c` and `a.b-c` collide.
    """
    digest = hashlib.blake2s(f"{host}\n{path}".encode(), digest_size=8).hexdigest()
    plain = _PLAIN.sub("_", f"{host}{path}".lower()).strip("_")[:80]
    return f"{plain or 'default'}_{digest}"
