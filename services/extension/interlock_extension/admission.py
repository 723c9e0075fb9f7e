"""Which endpoints of an upstream get requests: pure policy over the plan and what has accepted a connection.

*Running is not listening*: an endpoint is admitted at its first accepted connection. A draining endpoint gets no new
request, but for the last ones that accept: they are kept until another does. Removals never wait for anything.
A virtual IP that drains is not kept: a second after Swarm has shown that it will stop the tasks behind it, connections
to it are refused, while the tasks may take long to end. 503 tells clients more than 502.
A denied endpoint, whose address is another's by now, gets none, the last one neither. A silent one, which stopped
answering, gets none while others answer.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from interlock.model.routing import VIP, Endpoint, Upstream

_TOGETHER = 0.5
"""Seconds. Endpoints that began to drain within this time of one another count as one group."""


class Key(NamedTuple):
    """What admission is for: an address and port as used by one task. Swarm reuses addresses, never task ids.

    `task`: the task's id; for a virtual IP the id of its service.
    """

    address: str
    port: int
    task: str


def key_of(endpoint: Endpoint) -> Key:
    return Key(endpoint.address, endpoint.port, endpoint.service_id if endpoint.task == VIP else endpoint.task)


def choose(
    upstream: Upstream, accepted: Container[Key], denied: Container[Key] = (), silent: Container[Key] = ()
) -> tuple[Endpoint, ...]:
    """The endpoints to use, in the plan's order; empty while none has accepted a connection."""
    admitted = [e for e in upstream.endpoints if (key := key_of(e)) in accepted and key not in denied]
    wanted = tuple(endpoint for endpoint in admitted if not endpoint.draining)
    heard = tuple(endpoint for endpoint in wanted if key_of(endpoint) not in silent)
    if heard:
        return heard
    draining = [endpoint for endpoint in admitted if endpoint.draining and endpoint.task != VIP]
    answering = [endpoint for endpoint in draining if key_of(endpoint) not in silent]
    # Where nobody answers, it may be us.
    return _last(answering) or wanted or _last(draining)


def _last(draining: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Of several that drain, those that began last: they live longest."""
    newest = max((endpoint.draining_since or 0.0 for endpoint in draining), default=0.0)
    return tuple(e for e in draining if (e.draining_since or 0.0) >= newest - _TOGETHER)
