"""Finding an object as Docker does: by full id, then by name, then by a prefix of the id that is unique. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from interlock_simulator.refusal import Refused, missing
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Material, Network, Node, Service, Task

T = TypeVar("T")


def _find(kind: str, objects: Mapping[str, T], names: Mapping[str, str], ref: str) -> T:
    if ref in objects:
        return objects[ref]
    if ref in names:
        return objects[names[ref]]
    hits = [object_id for object_id in objects if object_id.startswith(ref)] if ref else []
    if len(hits) > 1:
        raise Refused(400, f"{kind} {ref} is ambiguous ({len(hits)} matches found)")
    if not hits:
        raise missing(kind, ref)
    return objects[hits[0]]


def service(swarm: Swarm, ref: str) -> Service:
    """The service; raises Refused (404)."""
    return _find("service", swarm.services, swarm.names, ref)


def task(swarm: Swarm, ref: str) -> Task:
    """The task; raises Refused (404)."""
    return _find("task", swarm.tasks, {}, ref)


def network(swarm: Swarm, ref: str) -> Network:
    """The network; raises Refused (404)."""
    return _find("network", swarm.networks, {value.name: key for key, value in swarm.networks.items()}, ref)


def node(swarm: Swarm, ref: str) -> Node:
    """The node, `self` being the first manager; raises Refused (404)."""
    if ref == "self":
        ref = next(iter(swarm.nodes))
    return _find("node", swarm.nodes, {value.hostname: key for key, value in swarm.nodes.items()}, ref)


def material(swarm: Swarm, kind: str, ref: str) -> Material:
    """The secret or config; raises Refused (404)."""
    things = {key: value for key, value in swarm.materials.items() if value.kind == kind}
    return _find(kind, things, {value.name: key for key, value in things.items()}, ref)
