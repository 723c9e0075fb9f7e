"""Which worker of a pool is to act for which cluster: who lives has an equal share, and keeps what it can. Pure.

Every worker answers this for itself, from the same facts. Where they looked at different moments, two may bid for one
cluster, or nobody for a moment: leases say who acts, and who holds one keeps it at the next look.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2s

from interlock.model.names import Cluster

_NOBODY: Mapping[Cluster, str] = {}


def shares(
    workers: Collection[str], clusters: Collection[Cluster], holders: Mapping[Cluster, str] = _NOBODY
) -> dict[Cluster, str]:
    """Who is to act for each cluster; empty while no worker lives. No share exceeds another by more than one.

    `holders`: who does now; whoever lives keeps its clusters, but for those that are more than its share.
    """
    held: dict[str, list[Cluster]] = {name: [] for name in workers}
    for cluster in set(clusters):
        if holders.get(cluster) in held:
            held[holders[cluster]].append(cluster)
    if not held:
        return {}
    least, over = divmod(len(set(clusters)), len(held))
    # Where shares cannot be equal, the larger ones are theirs who hold most.
    names = sorted(held, key=lambda name: (-len(held[name]), name))
    room = {name: least + (number < over) for number, name in enumerate(names)}
    found: dict[Cluster, str] = {}
    for name, mine in held.items():
        for cluster in sorted(mine, key=lambda cluster: _weight(name, cluster))[: room[name]]:
            found[cluster] = name
            room[name] -= 1
    left = set(clusters) - found.keys()
    # Each cluster has an order of its own among the workers, so that those which start together share at once.
    for _, name, cluster in sorted((_weight(name, cluster), name, cluster) for name in names for cluster in left):
        if cluster not in found and room[name]:
            found[cluster] = name
            room[name] -= 1
    return found


def _weight(worker: str, cluster: Cluster) -> bytes:
    return blake2s(f"{worker}\n{cluster}".encode(), digest_size=8).digest()
