"""Which worker of a pool is to act for which service cluster: the same answer everywhere, from who lives. Pure.

Whoever lives has an equal share. A worker that comes or goes moves about as many clusters as it holds, and few others.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2s

from interlock.model.names import Cluster


def shares(workers: Collection[str], clusters: Collection[Cluster]) -> dict[Cluster, str]:
    """Who acts for each cluster; empty while no worker lives. No share is larger than another by more than one."""
    names = sorted(set(workers))
    if not names:
        return {}
    least, over = divmod(len(set(clusters)), len(names))
    held = dict.fromkeys(names, 0)
    found: dict[Cluster, str] = {}
    # Each cluster has an order of its own among the workers, which nobody else's coming or going changes.
    for _, name, cluster in sorted((_weight(name, cluster), name, cluster) for name in names for cluster in clusters):
        if cluster in found or held[name] > least or (held[name] == least and not over):
            continue
        over -= held[name] == least
        held[name] += 1
        found[cluster] = name
    return found


def _weight(worker: str, cluster: Cluster) -> bytes:
    return blake2s(f"{worker}\n{cluster}".encode(), digest_size=8).digest()
