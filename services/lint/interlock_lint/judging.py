"""A stack's services, judged by the planner's own code: what is wrong, each with its place in a file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from interlock.labels.label import Proxy
from interlock.labels.relevance import is_interlock_service, service_cluster_of
from interlock.model.problem import Problem
from interlock.model.swarm import Service
from interlock_lint.compose import in_quotes
from interlock_lint.document import Place
from interlock_lint.finding import Finding, finding, of_problem
from interlock_lint.proxies import of_proxies
from interlock_lint.services import full_name
from interlock_lint.stack import DEFAULT, ComposeService, Stack
from interlock_planner.plan import scratch

Problems = Mapping[str, tuple[Problem, ...]]
"""By the id of a service."""


def labelled(services: Mapping[str, Service]) -> dict[str, Service]:
    """Those that have a label of ours, by key."""
    return {key: service for key, service in services.items() if is_interlock_service(service.labels)}


def problems_of(services: Iterable[Service]) -> dict[str, tuple[Problem, ...]]:
    """What the planner says when there is nothing but these services: those of a service cluster share its hosts."""
    clusters: dict[str, list[Service]] = {}
    for service in services:
        clusters.setdefault(service_cluster_of(service.labels), []).append(service)
    found: dict[str, tuple[Problem, ...]] = {}
    for together in clusters.values():
        found.update(scratch(together).problems)
    return found


def judge(
    stack: Stack,
    services: Mapping[str, Service],
    problems: Problems,
    *,
    name: str = "",
    whole: bool = True,
    proxies: Sequence[Proxy] = (),
) -> tuple[Finding, ...]:
    """All findings, sorted by place. `problems`: the planner's; `name`: the stack's; `whole`: every file was read.

    `proxies`: those that the stack is for; empty where nobody said.
    """
    found = [
        msgspec.structs.replace(each, service=full_name(each.service, name)) if each.service else each
        for each in stack.findings
    ]
    for key, compose in stack.services.items():
        service = services[key]
        found += _misplaced(compose, service.name)
        if whole:
            found += _undefined(compose, stack, service.name)
        found += [
            of_problem(_as_written(problem, compose), place_of(compose, problem.key))
            for problem in problems.get(service.id, ())
            if problem.key not in compose.unknown
        ]
    found += of_proxies(stack, services, proxies)
    return tuple(sorted(set(found)))


def place_of(service: ComposeService, key: str) -> Place:
    """Where a label is written; where the labels are, for one that is missing."""
    label = service.labels.get(key)
    return label.place if label else service.labels_place or service.place


def _as_written(problem: Problem, compose: ComposeService) -> Problem:
    """With the remedy for where it is written."""
    label = compose.labels.get(problem.key)
    if label is None or not label.bare:
        return problem
    return msgspec.structs.replace(problem, remedy=in_quotes(problem.code, problem.remedy))


def _misplaced(compose: ComposeService, service: str) -> Iterator[Finding]:
    for key, label in compose.misplaced.items():
        yield finding(
            label.place,
            "label-misplaced",
            service=service,
            key=key,
            value=label.text,
            reason="is a label of the containers, where nothing reads it",
            remedy="Move it from `labels` to `deploy.labels` of the service",
        )


def _undefined(compose: ComposeService, stack: Stack, service: str) -> Iterator[Finding]:
    for key, place in compose.networks.items():
        if key != DEFAULT and key not in stack.networks:
            yield finding(
                place,
                "stack-invalid",
                service=service,
                key="networks",
                value=key,
                reason="is no network of the stack, and so Docker refuses it",
                remedy=f"Write it below `networks` at the top of the file: {key}: {{external: true}}",
            )
