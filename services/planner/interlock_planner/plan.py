"""The plan of one service cluster, kept up to date at the cost of what changes. Pure: no I/O, no clock, no threads.

`loop` feeds it the services that changed and publishes the delta. Invariant, property-tested: after any sequence of
changes the plan equals `scratch` of the services that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from interlock.model.problem import Problem
from interlock.model.routing import Plan, PlanDelta, Upstream, VirtualHost
from interlock.model.swarm import Service
from interlock_planner.stages.claims import Claim, claim_of
from interlock_planner.stages.hosts import HostPlan, plan_host

V = TypeVar("V")


class ClusterPlan:
    """The services of one cluster and the plan that follows from them.

    Counters, ever growing: `services_parsed` (services whose labels and tasks were read), `hosts_planned` (virtual
    hosts computed). Not for several threads.
    """

    def __init__(self) -> None:
        self.services_parsed = 0
        self.hosts_planned = 0
        self._services: dict[str, Service] = {}
        self._claims: dict[str, Claim] = {}
        self._refused: dict[str, str] = {}
        self._own: dict[str, tuple[Problem, ...]] = {}
        self._conflicts: dict[str, dict[str, tuple[Problem, ...]]] = {}
        self._claimants: dict[str, set[str]] = {}
        self._hosts: dict[str, VirtualHost] = {}
        self._upstreams: dict[str, Upstream] = {}
        self._problems: dict[str, tuple[Problem, ...]] = {}

    def service(self, service_id: str) -> Service | None:
        """The service as it was last given."""
        return self._services.get(service_id)

    def claim(self, service_id: str) -> Claim | None:
        """What the service claims at present."""
        return self._claims.get(service_id)

    @property
    def plan(self) -> Plan:
        """The present plan, as a copy: it costs its size, and is not to be called for every change."""
        return Plan(hosts=dict(self._hosts), upstreams=dict(self._upstreams), problems=dict(self._problems))

    @property
    def problem_count(self) -> int:
        """Services with problems."""
        return len(self._problems)

    def apply(
        self,
        changes: Mapping[str, Service | None],
        refused: Mapping[str, str] = MappingProxyType({}),
        kept: Mapping[str, Claim] = MappingProxyType({}),
    ) -> PlanDelta:
        """Take in the whole present state of the services that changed, None for one that is gone.

        Only they are parsed, and only the hosts that they claimed before or claim now are planned. Returns what is
        different in the plan, empty where nothing is.

        `refused`: service id to the reason why its present state cannot be read; it stays as it was, with a Problem,
        until a later change. `kept`: the claims of those that were not even read before.
        """
        touched: set[str] = set()
        affected = set(refused)
        for service_id, service in changes.items():
            if service != self._services.get(service_id) or service_id in self._refused:
                touched |= self._take(service_id, service)
                affected.add(service_id)
        for service_id, reason in refused.items():
            self._refused[service_id] = reason
            if service_id in kept and service_id not in self._claims:
                touched |= self._settle(service_id, kept[service_id])
        hosts: dict[str, VirtualHost | None] = {}
        upstreams: dict[str, Upstream | None] = {}
        for host in sorted(touched):
            affected |= self._plan_host(host, hosts, upstreams)
        problems: dict[str, tuple[Problem, ...] | None] = {}
        for service_id in sorted(affected):
            _put(self._problems, problems, service_id, self._problems_of(service_id) or None)
        return PlanDelta(hosts=hosts, upstreams=upstreams, problems=problems)

    def _take(self, service_id: str, service: Service | None) -> set[str]:
        """Parse one service; returns the hosts whose plan may be another now."""
        self._refused.pop(service_id, None)
        self._own.pop(service_id, None)
        if service is None:
            self._services.pop(service_id, None)
            return self._settle(service_id, None)
        self._services[service_id] = service
        self.services_parsed += 1
        claim, problems = claim_of(service)
        if problems:
            self._own[service_id] = problems
        return self._settle(service_id, claim)

    def _settle(self, service_id: str, claim: Claim | None) -> set[str]:
        """Put a claim in the place of the service's former one; returns the hosts of both where they differ."""
        before = self._claims.pop(service_id, None)
        if claim is not None:
            self._claims[service_id] = claim
        if claim == before:
            return set()
        hosts_before = set(before.hosts) if before else set()
        hosts_now = set(claim.hosts) if claim else set()
        for host in hosts_before - hosts_now:
            self._claimants[host].discard(service_id)
        for host in hosts_now - hosts_before:
            self._claimants.setdefault(host, set()).add(service_id)
        return hosts_before | hosts_now

    def _plan_host(
        self, host: str, hosts: dict[str, VirtualHost | None], upstreams: dict[str, Upstream | None]
    ) -> set[str]:
        """Plan one host, note what is different; returns the ids of services whose conflicts may be others now."""
        self.hosts_planned += 1
        claimants = self._claimants[host]
        planned = plan_host(host, (self._claims[i] for i in claimants)) if claimants else None
        if planned is None:
            del self._claimants[host]
        before = self._hosts.get(host)
        present = {upstream.name: upstream for upstream in planned.upstreams} if planned else {}
        gone = {route.upstream for route in before.routes} - set(present) if before else set()
        for name in (*sorted(gone), *present):
            _put(self._upstreams, upstreams, name, present.get(name))
        _put(self._hosts, hosts, host, planned.virtual_host if planned else None)
        return self._note_conflicts(host, planned)

    def _note_conflicts(self, host: str, planned: HostPlan | None) -> set[str]:
        before = self._conflicts.pop(host, {})
        present = planned.conflicts if planned else {}
        if present:
            self._conflicts[host] = present
        return {i for i in (*before, *present) if before.get(i) != present.get(i)}

    def _problems_of(self, service_id: str) -> tuple[Problem, ...]:
        claim = self._claims.get(service_id)
        conflicts = (
            problem
            for host in (claim.hosts if claim else ())
            for problem in self._conflicts.get(host, {}).get(service_id, ())
        )
        return tuple(sorted((*self._own.get(service_id, ()), *self._frame_problem(service_id), *conflicts)))

    def _frame_problem(self, service_id: str) -> tuple[Problem, ...]:
        reason = self._refused.get(service_id)
        if reason is None:
            return ()
        claim = self._claims.get(service_id)
        service = self._services.get(service_id)
        name = service.name if service else claim.service if claim else service_id
        return (
            Problem(
                code="unreadable",
                service=name,
                service_id=service_id,
                key="frame",
                value="",
                reason=f"its state on the bus cannot be read, so what was read last is in force: {reason}",
                remedy="Bring watcher and planner to versions within one schema of each other",
                severity="warning" if claim else "error",
            ),
        )


def scratch(services: Iterable[Service]) -> Plan:
    """The plan of these services with no history: what an incremental plan must equal."""
    claims: dict[str, list[Claim]] = {}
    problems: dict[str, list[Problem]] = {}
    for service in services:
        claim, own = claim_of(service)
        problems.setdefault(service.id, []).extend(own)
        for host in claim.hosts if claim else ():
            claims.setdefault(host, []).append(claim)  # type: ignore[arg-type]  # the loop is empty without a claim
    planned = [plan_host(host, claims[host]) for host in sorted(claims)]
    for host_plan in planned:
        for service_id, conflicts in host_plan.conflicts.items():
            problems[service_id].extend(conflicts)
    return Plan(
        hosts={p.virtual_host.host: p.virtual_host for p in planned},
        upstreams={upstream.name: upstream for p in planned for upstream in p.upstreams},
        problems={service_id: tuple(sorted(found)) for service_id, found in sorted(problems.items()) if found},
    )


def _put(state: dict[str, V], delta: dict[str, V | None], key: str, value: V | None) -> None:
    """Set or (None) remove, and note it where that is a difference."""
    if state.get(key) == value:
        return
    delta[key] = value
    if value is None:
        del state[key]
    else:
        state[key] = value
