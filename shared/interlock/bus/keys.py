"""Every key of the installation. `{c}` is `{<region>/<cluster>}`, the hash tag that keeps a cluster in one slot.

    il:clusters             hash    `<region>/<cluster>` → frame `cluster`: which service clusters there are
    il:{c}:services         hash    service id → frame `service`, and the marks below: the present
    il:{c}:services:log     stream  every change of it, before and after
    il:{c}:services:fence   hash    `epoch`, `nonce`: the highest token that has written
    il:{c}:services:new:*   hash    staging of a state too large for one script; expires by itself
    il:{c}:plan …           the same four for the plan: `host:<host>`, `upstream:<name>`, `problem:<service id>`
    il:{c}:lease            hash    the planner's lease: `owner`, `until` (ms, server time), `epoch`, `nonce`
    il:{c}:lease:<pool>     hash    the same for who acts for the cluster among the workers of a pool
    il:{c}:outcomes         hash    proxy → `<expires, ms>:` + frame `outcome`
    il:{c}:outcomes:log     stream  outcomes that said something new
    il:{c}:held             hash    host → frame `held`: its last accepted policy, while a newer one is on trial or
                                    refused; written by the planner, under the plan's fence
    il:{<region>}:env       hash    what the watcher knows of Docker and of itself; `il:{<region>}:env:fence` as above
    il:{<region>}:lease:<role>  hash  as the cluster's lease
    il:{<region>}:pool:<pool>   hash  worker → until when it counts as living (ms, server time)

Marks in a state hash: `@gen @seq @nonce` the version, `@complete` = 1 once a whole listing has been written, `@from`
the version of the state that this one was derived from, `@log` the id of the log's entry for this version, `@off` the
bytes logged so far, `@epoch` that of the token it was written with.
"""

from __future__ import annotations

from typing import NamedTuple

from interlock.model.names import Cluster

CLUSTERS = "il:clusters"
MARK = "@"
"""What a mark's field name starts with; service ids, `host:…` and the like never do."""


class Partition(NamedTuple):
    """The Redis keys of one partition's state. All share one hash tag."""

    cluster: Cluster
    state: str

    @property
    def log(self) -> str:
        return f"{self.state}:log"

    @property
    def fence(self) -> str:
        return f"{self.state}:fence"

    def staging(self, nonce: str) -> str:
        return f"{self.state}:new:{nonce}"


def services(cluster: Cluster) -> Partition:
    """The services of a cluster, as the watcher writes them."""
    return Partition(cluster, f"il:{{{cluster}}}:services")


def plan(cluster: Cluster) -> Partition:
    """The plan of a cluster, as its planner writes it."""
    return Partition(cluster, f"il:{{{cluster}}}:plan")


def cluster_lease(cluster: Cluster) -> str:
    """The lease of the planner that plans the cluster."""
    return f"il:{{{cluster}}}:lease"


def pool_lease(cluster: Cluster, pool: str) -> str:
    """The lease of the worker of this pool that acts for the cluster."""
    return f"il:{{{cluster}}}:lease:{_tag(pool)}"


def pool_members(region: str, pool: str) -> str:
    """Which workers of this pool live."""
    return f"il:{{{_tag(region)}}}:pool:{_tag(pool)}"


def region_lease(region: str, role: str) -> str:
    """The lease of a role that is held once per region (`watcher`)."""
    return f"il:{{{_tag(region)}}}:lease:{role}"


def outcomes(cluster: Cluster) -> str:
    return f"il:{{{cluster}}}:outcomes"


def held(cluster: Cluster) -> str:
    """The policies that the cluster's planner holds, or will hold should a newer one be refused."""
    return f"il:{{{cluster}}}:held"


def env(region: str) -> str:
    return f"il:{{{_tag(region)}}}:env"


def _tag(name: str) -> str:
    """The name of a region or a pool, encoded as in a cluster's."""
    return str(Cluster(name, "")).partition("/")[0]
