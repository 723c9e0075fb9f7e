"""The plan of one service cluster, kept up to date at the cost of what changes. Pure: no I/O, no clock, no threads.

`loop` feeds it the services that changed, and what proxies say, and publishes the delta. Invariant, property-tested:
after any sequence of both, the plan equals `scratch` of the services that are left and of the holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from interlock.model.held import Held
from interlock.model.outcome import Outcome
from interlock.model.problem import Problem
from interlock.model.routing import Plan, PlanDelta, Upstream, VirtualHost
from interlock.model.swarm import Service
from interlock.wire.fields import policy_digest
from interlock_planner.holds import Asked, Holds
from interlock_planner.stages.claims import Claim, claim_of
from interlock_planner.stages.holding import held_plan
from interlock_planner.stages.hosts import HostPlan, plan_host
from interlock_planner.stages.loops import loop_problem, owners_of_loop

V = TypeVar("V")


class ClusterPlan:
    """The services of one cluster and the plan that follows from them.

    Counters, ever growing: `services_parsed` (services whose labels and tasks were read), `hosts_planned` (virtual
    hosts computed). `holds`: which hosts are held on an older policy; from `follow` on. Not for several threads.
    """

    def __init__(self) -> None:
        self.holds = Holds()
        self.following = False
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
        self._kinds: Counter[tuple[str, str]] = Counter()

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

    @property
    def problem_kinds(self) -> Mapping[tuple[str, str], int]:
        """How many problems there are, by code and severity; 0 for a kind that there was."""
        return self._kinds

    @property
    def policies(self) -> dict[str, VirtualHost]:
        """The policies of the present plan by host, as a copy."""
        return dict(self._hosts)

    def follow(self, before: Mapping[str, VirtualHost], records: Mapping[str, Held]) -> PlanDelta:
        """All services are there: from now on tell accepted policies from new ones.

        `before`: the policies that were published last, by host; `records`: those that were held, or on trial.
        """
        self.following = True
        self.holds.begin(records)
        for host in records.keys() - self._hosts.keys():
            self.holds.settle(host, None, None)
        for host, policy in self._hosts.items():
            if host not in records:
                self.holds.settle(host, policy, before.get(host))
        return self._planned(sorted(records.keys() & self._hosts.keys()), set(), before)

    def judge(self, outcomes: Sequence[Outcome], now: float) -> PlanDelta:
        """Hear what all live proxies say; returns what is different in the plan. `now`: Unix seconds."""
        return self._planned(sorted(self.holds.judge(outcomes, self._asked, now)), set())

    def _asked(self, host: str) -> Asked | None:
        claimants = sorted(self._claimants.get(host, ()))
        if not claimants:
            return None
        planned = plan_host(host, (self._claims[i] for i in claimants))
        return Asked(policy=planned.virtual_host, services=tuple(claimants))

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
        return self._planned(sorted(touched), affected)

    def _planned(
        self,
        touched: Sequence[str],
        affected: set[str],
        before: Mapping[str, VirtualHost] | None = None,
    ) -> PlanDelta:
        """Plan these hosts, and say what is wrong with these services and those of the hosts.

        `before`: the policies that were published before, where that is not the present plan.
        """
        hosts: dict[str, VirtualHost | None] = {}
        upstreams: dict[str, Upstream | None] = {}
        published = self._hosts if before is None else before
        affected |= self._in_loops(touched)
        for host in touched:
            affected |= self._plan_host(host, published.get(host), hosts, upstreams)
        affected |= self._in_loops(touched)
        problems: dict[str, tuple[Problem, ...] | None] = {}
        for service_id in sorted(affected):
            self._kinds.subtract(_kinds(self._problems.get(service_id, ())))
            _put(self._problems, problems, service_id, self._problems_of(service_id) or None)
            self._kinds.update(_kinds(self._problems.get(service_id, ())))
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
        self,
        host: str,
        published: VirtualHost | None,
        hosts: dict[str, VirtualHost | None],
        upstreams: dict[str, Upstream | None],
    ) -> set[str]:
        """Plan one host, note what is different; returns the ids of services whose conflicts may be others now."""
        self.hosts_planned += 1
        claims = [self._claims[i] for i in sorted(self._claimants[host])]
        planned = plan_host(host, claims) if claims else None
        if self.following:
            record = self.holds.settle(host, planned.virtual_host if planned else None, published)
            if planned and record:
                planned = held_plan(planned, claims, record)
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

    def _in_loops(self, hosts: Iterable[str]) -> set[str]:
        """Ids of the services of redirect loops through these hosts, as they are planned now."""
        return {service_id for host in hosts for service_id in owners_of_loop(host, self._hosts)}

    def _problems_of(self, service_id: str) -> tuple[Problem, ...]:
        claim = self._claims.get(service_id)
        conflicts = (
            problem
            for host in (claim.hosts if claim else ())
            for problem in self._conflicts.get(host, {}).get(service_id, ())
        )
        found = (*self._own.get(service_id, ()), *self._frame_problem(service_id), *conflicts)
        return tuple(sorted((*found, *_loops(claim, self._hosts))))

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
                severity="warning" if claim and claim.served else "error",
            ),
        )


def scratch(services: Iterable[Service], holds: Mapping[str, Held] = MappingProxyType({})) -> Plan:
    """The plan of these services with no history but what is held: what an incremental plan must equal."""
    claims: dict[str, list[Claim]] = {}
    problems: dict[str, list[Problem]] = {}
    for service in services:
        claim, own = claim_of(service)
        problems.setdefault(service.id, []).extend(own)
        for host in claim.hosts if claim else ():
            claims.setdefault(host, []).append(claim)  # type: ignore[arg-type]  # the loop is empty without a claim
    planned = [_on_hold(plan_host(host, claims[host]), claims[host], holds.get(host)) for host in sorted(claims)]
    for host_plan in planned:
        for service_id, conflicts in host_plan.conflicts.items():
            problems[service_id].extend(conflicts)
    hosts = {p.virtual_host.host: p.virtual_host for p in planned}
    for claim in {claim.service_id: claim for together in claims.values() for claim in together}.values():
        problems[claim.service_id].extend(_loops(claim, hosts))
    return Plan(
        hosts=hosts,
        upstreams={upstream.name: upstream for p in planned for upstream in p.upstreams},
        problems={service_id: tuple(sorted(found)) for service_id, found in sorted(problems.items()) if found},
    )


def _on_hold(wanted: HostPlan, claims: Sequence[Claim], record: Held | None) -> HostPlan:
    if record is None or record.refused != policy_digest(wanted.virtual_host):
        return wanted
    return held_plan(wanted, claims, record)


def _loops(claim: Claim | None, hosts: Mapping[str, VirtualHost]) -> tuple[Problem, ...]:
    """What is wrong with the redirects that are the service's."""
    found = (loop_problem(host, claim.service_id, hosts) for host in claim.hosts) if claim else ()
    return tuple(problem for problem in found if problem)


def _kinds(problems: Iterable[Problem]) -> Counter[tuple[str, str]]:
    return Counter((problem.code, problem.severity) for problem in problems)


def _put(state: dict[str, V], delta: dict[str, V | None], key: str, value: V | None) -> None:
    """Set or (None) remove, and note it where that is a difference."""
    if state.get(key) == value:
        return
    delta[key] = value
    if value is None:
        del state[key]
    else:
        state[key] = value
