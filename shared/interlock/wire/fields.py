"""The typed layer: the names of a partition's hash fields and the codec of their values. Pure.

Watchers, planners and workers speak it; `bus` carries the bytes and does not look into them. A field that cannot be
read is an error in the answer, never a removal: the caller keeps what it had for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2s
from typing import NamedTuple

from interlock.errors import WireError
from interlock.model.problem import Problem
from interlock.model.routing import Plan, PlanDelta, Upstream, VirtualHost
from interlock.model.swarm import Service
from interlock.wire import codec

HOST, UPSTREAM, PROBLEM = "host:", "upstream:", "problem:"


class Refused(NamedTuple):
    """A field whose bytes were refused, and why."""

    field: str
    error: WireError


def policy_digest(policy: VirtualHost) -> str:
    """Names a host's policy: the same policy, the same digest, wherever it is computed by the same version."""
    return blake2s(codec.encode("host", policy), digest_size=16).hexdigest()


def service_bytes(service: Service) -> bytes:
    return codec.encode("service", service)


def read_services(fields: Mapping[str, bytes]) -> tuple[dict[str, Service], list[Refused]]:
    """Services by id, and the fields that could not be read."""
    services: dict[str, Service] = {}
    refused: list[Refused] = []
    for field, data in fields.items():
        try:
            services[field] = codec.decode("service", data, Service, where=f"service {field}")
        except WireError as error:
            refused.append(Refused(field, error))
    return services, refused


def plan_fields(plan: Plan) -> dict[str, bytes]:
    """A whole plan as the fields of its hash."""
    delta = PlanDelta(hosts={**plan.hosts}, upstreams={**plan.upstreams}, problems={**plan.problems})
    return {field: value for field, value in delta_fields(delta).items() if value is not None}


def delta_fields(delta: PlanDelta) -> dict[str, bytes | None]:
    """A delta as changes of fields; None removes."""
    fields: dict[str, bytes | None] = {}
    for host, virtual_host in delta.hosts.items():
        fields[HOST + host] = codec.encode("host", virtual_host) if virtual_host else None
    for name, upstream in delta.upstreams.items():
        fields[UPSTREAM + name] = codec.encode("upstream", upstream) if upstream else None
    for service, problems in delta.problems.items():
        fields[PROBLEM + service] = codec.encode("problems", problems) if problems else None
    return fields


def read_plan(fields: Mapping[str, bytes]) -> tuple[Plan, list[Refused]]:
    """A plan from the fields of its hash, and the fields that could not be read."""
    delta, refused = read_delta(fields.items())
    return (
        Plan(
            hosts={k: v for k, v in delta.hosts.items() if v is not None},
            upstreams={k: v for k, v in delta.upstreams.items() if v is not None},
            problems={k: v for k, v in delta.problems.items() if v is not None},
        ),
        refused,
    )


def read_delta(changes: Iterable[tuple[str, bytes | None]]) -> tuple[PlanDelta, list[Refused]]:
    """A delta from a log entry's changes, each a field and its value after, and the fields that could not be read."""
    delta = PlanDelta(hosts={}, upstreams={}, problems={})
    refused: list[Refused] = []
    for field, data in changes:
        kind, _, key = field.partition(":")
        try:
            _read_field(delta, kind, key, data, field)
        except WireError as error:
            refused.append(Refused(field, error))
    return delta, refused


def _read_field(delta: PlanDelta, kind: str, key: str, data: bytes | None, field: str) -> None:
    # A kind that a newer writer has added is no error: it matches nothing and is passed over.
    where = f"plan {field}"
    match kind:
        case "host":
            delta.hosts[key] = None if data is None else codec.decode("host", data, VirtualHost, where=where)
        case "upstream":
            delta.upstreams[key] = None if data is None else codec.decode("upstream", data, Upstream, where=where)
        case "problem":
            delta.problems[key] = (
                None if data is None else codec.decode("problems", data, tuple[Problem, ...], where=where)
            )
