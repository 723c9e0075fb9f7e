"""What of a stack matters to routing, as values with places; and how a later file changes an earlier one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from interlock.model.swarm import ServicePort
from interlock_lint.document import Place
from interlock_lint.finding import Finding

DEFAULT = "default"
"""The network of a service that names none."""


class Text(msgspec.Struct, frozen=True):
    """A value with its variables filled in, and where its label or key is written. `bare`: it is there as it is,
    without quotes, so that YAML says what another word in its place would be."""

    text: str
    place: Place
    bare: bool = False


class ComposeService(msgspec.Struct, frozen=True, kw_only=True):
    """One service of a file, or of all. None: the file does not say.

    `labels`: `deploy.labels`, which Docker puts on the service; `misplaced`: ours among `labels`, which it puts on the
    containers. `unknown`: names of labels whose value cannot be told. `networks`: keys of the stack's networks.
    `ports`: what it asks to publish, as far as one can tell.
    """

    name: str
    place: Place
    labels: dict[str, Text] = {}
    labels_place: Place | None = None
    misplaced: dict[str, Text] = {}
    unknown: frozenset[str] = frozenset()
    networks: dict[str, Place] = {}
    ports: tuple[ServicePort, ...] = ()
    endpoint_mode: str | None = None
    mode: str | None = None
    replicas: int | None = None


class ComposeNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """One of the stack's networks. `name`: the one that is written there, without the stack in front."""

    name: str = ""
    external: bool = False
    driver: str = ""


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """All that the files say together, each service and network by its key; and what is wrong with the files."""

    services: dict[str, ComposeService] = {}
    networks: dict[str, ComposeNetwork] = {}
    findings: tuple[Finding, ...] = ()


def merge(stacks: Iterable[Stack]) -> Stack:
    """As `docker stack deploy -c a -c b` does: labels and networks of a service add up, the later value counts."""
    services: dict[str, ComposeService] = {}
    networks: dict[str, ComposeNetwork] = {}
    findings: tuple[Finding, ...] = ()
    for stack in stacks:
        for key, service in stack.services.items():
            services[key] = _merged(services[key], service) if key in services else service
        networks.update(stack.networks)
        findings += stack.findings
    return Stack(services=services, networks=networks, findings=findings)


def _merged(base: ComposeService, later: ComposeService) -> ComposeService:
    return ComposeService(
        name=base.name,
        place=base.place,
        labels={**base.labels, **later.labels},
        labels_place=base.labels_place or later.labels_place,
        misplaced={**base.misplaced, **later.misplaced},
        unknown=(base.unknown - later.labels.keys()) | later.unknown,
        networks={**base.networks, **later.networks},
        ports=tuple(sorted({*base.ports, *later.ports})),
        endpoint_mode=later.endpoint_mode or base.endpoint_mode,
        mode=later.mode or base.mode,
        replicas=base.replicas if later.replicas is None else later.replicas,
    )
