"""What applying a plan did, as an extension worker reports it for its proxy."""

from __future__ import annotations

from typing import Literal

import msgspec

from interlock.model.version import Version

Result = Literal["unchanged", "updated", "reloaded", "rejected", "starting"]

MOST_UNTRIED = 200
"""Hosts that an outcome names as untried at most, so that heartbeats stay small."""


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """How one draining endpoint was let go. Times in Unix seconds, the margin in seconds.

    `margin` is the guaranteed budget (between desired state and SIGTERM) less the time it took until the proxy could
    no longer send it a request; negative is a miss.
    """

    task: str
    service: str
    desired_at: float
    let_go_at: float
    margin: float


class HostRejection(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A virtual host whose new configuration the proxy refused; its last accepted one stays live.

    `refused`: the digest (`interlock.wire.fields.policy_digest`) of the policy that it refused, so that a rejection
    never speaks of a newer one; empty where an older worker says it, or the proxy did not name the host: it then holds
    nothing for others. `kept`: that of the policy which it last served whole, empty for none. A proxy names
    policies, and brings none: it is the planner that knows them.
    """

    host: str
    reason: str
    refused: str = ""
    kept: str = ""


class Denied(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """An endpoint of the plan that gets no request, since its address (with the port) is another's or nobody's now."""

    service: str
    address: str
    why: str


class Unreachable(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A service's endpoint that never accepted a connection, on a network that the proxy has no part in."""

    service: str
    address: str
    network: str
    service_id: str = ""

    @property
    def remedy(self) -> str:
        return (
            f"Attach it: docker service update --network-add {self.network} <proxy service> (or run the worker in a "
            "container on it), or point com.docker.lb.network at a network that it has"
        )

    def __str__(self) -> str:
        return (
            f"service {self.service}: {self.address} is on the network '{self.network}', to which this proxy is not "
            f"attached. {self.remedy}"
        )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one proxy: what it runs, and what the last change did.

    Times in Unix seconds. `version` is the plan version that it serves, None before the first. `stale_since`: since
    when the worker could not reach the bus or the plan was not complete; None while it is fresh.
    `untried`: hosts of that plan that the proxy was given as a 503, all or in part, since no endpoint is there: their
    policy was not tried. The `MOST_UNTRIED` that changed last; an older worker names none.
    `denied`: the first of them, all are in the counter `endpoints_denied`. `unreachable`: one for each service.
    `hops`: times of the last change, see `interlock.wire.trail`. `run`: names the worker's process; empty where an
    older worker says it.
    """

    proxy: str
    extension: str
    address: str = ""
    version: Version | None = None
    result: Result = "starting"
    reason: str = ""
    hosts: int = 0
    upstreams: int = 0
    endpoints: int = 0
    waiting: int = 0
    at: float = 0.0
    effective_at: float | None = None
    stale_since: float | None = None
    stale_reason: str = ""
    rejections: tuple[HostRejection, ...] = ()
    untried: tuple[str, ...] = ()
    denied: tuple[Denied, ...] = ()
    unreachable: tuple[Unreachable, ...] = ()
    drains: tuple[Drain, ...] = ()
    drain_misses: int = 0
    counters: dict[str, float] = {}
    hops: dict[str, float] = {}
    cause: str = ""
    run: str = ""
