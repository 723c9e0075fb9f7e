"""Which endpoints an apply let go, and with what margin: pure.

The margin is the guaranteed time between Swarm's showing that it will stop a task and its SIGTERM, less the time until
the proxy could send it nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from interlock.model.outcome import Drain
from interlock.model.routing import Endpoint
from interlock_extension.admission import Key, key_of
from interlock_extension.port import HostView

GUARANTEED_BUDGET = 2.0
"""Seconds that Swarm waits before SIGTERM when a task is on an overlay network, a constant in its source.

Measured: 3.1 to 3.2 s, since the second of `NODE_PORT_BUDGET` comes before.
"""

NODE_PORT_BUDGET = 1.0
"""The same for a task on no network, which is reached at a port of its node.

There Swarm does not wait on purpose: its agent looks again a second after it has left off waiting for a task's end, a
constant in its source too. Measured: 1.1 to 1.2 s.
"""

LATEST = 32
"""How many drains an outcome carries."""


class Ledger:
    """Which endpoints the proxy may send requests to, by the hosts that name them.

    `budget`: seconds for those on a network; others have `NODE_PORT_BUDGET`, or that if it is less.
    """

    def __init__(self, budget: float = GUARANTEED_BUDGET) -> None:
        self._budget = budget
        self._node_port_budget = min(budget, NODE_PORT_BUDGET)
        self._hosts: dict[Key, set[str]] = {}
        self._known: dict[Key, Endpoint] = {}
        self._since: dict[Key, float] = {}

    @property
    def endpoints(self) -> int:
        """How many endpoints are in use."""
        return len(self._hosts)

    def note(self, key: Key, draining_since: float | None) -> None:
        """Remember since when an endpoint in use drains: it may be gone from the plan before it is let go."""
        if draining_since is not None and key in self._hosts:
            self._since[key] = draining_since

    def settle(
        self,
        changes: Mapping[str, tuple[HostView | None, HostView | None]],
        let_go_at: float,
        draining_since: Callable[[Key], float | None],
    ) -> list[Drain]:
        """Take over what an apply changed; the drains that it ended, oldest first."""
        left: set[Key] = set()
        for host, (before, after) in changes.items():
            mine, now = _of(before), _of(after)
            for key in mine.keys() - now.keys():
                hosts = self._hosts.get(key, set())
                hosts.discard(host)
                if not hosts:
                    self._hosts.pop(key, None)
                    left.add(key)
            for key, endpoint in now.items():
                self._hosts.setdefault(key, set()).add(host)
                self._known[key] = endpoint
        # Not by the difference from the view of keys, which goes through all of them.
        return self._drains({key for key in left if key not in self._hosts}, let_go_at, draining_since)

    def _drains(self, left: set[Key], let_go_at: float, since: Callable[[Key], float | None]) -> list[Drain]:
        found = []
        for key in left:
            endpoint = self._known.pop(key, None)
            noted = self._since.pop(key, None)
            desired_at = noted if noted is not None else since(key)
            if endpoint is None or desired_at is None:
                continue
            budget = self._budget if endpoint.network else self._node_port_budget
            found.append(
                Drain(
                    task=endpoint.task,
                    service=endpoint.service,
                    desired_at=desired_at,
                    let_go_at=let_go_at,
                    margin=budget - (let_go_at - desired_at),
                )
            )
        return sorted(found, key=lambda drain: (drain.desired_at, drain.task))


def _of(view: HostView | None) -> dict[Key, Endpoint]:
    return {key_of(e): e for upstream in view.upstreams for e in upstream.endpoints} if view else {}
