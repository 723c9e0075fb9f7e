"""Docker's `filters` parameter: reading it, and which object passes. Pure; called by `api`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from interlock_simulator import lookup
from interlock_simulator.orchestrator import is_dirty
from interlock_simulator.refusal import Refused
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import STATES, Material, Network, Node, Service, Task

Filters = Mapping[str, Sequence[str]]


def parse(text: str | None, allowed: Sequence[str] | None) -> dict[str, list[str]]:
    """`{"name":["x"]}` or the older `{"name":{"x":true}}`. Raises Refused (400) for others and for keys not allowed."""
    if not text:
        return {}
    try:
        raw = msgspec.json.decode(text, type=dict[str, list[str] | dict[str, bool]])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Refused(400, f"invalid filter: {error}") from error
    found = {}
    for key, values in raw.items():
        if allowed is not None and key not in allowed:
            raise Refused(400, f"invalid filter '{key}'")
        found[key] = list(values) if isinstance(values, list) else [value for value, on in values.items() if on]
    return {key: values for key, values in found.items() if values}


def has_label(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """Docker's label filter: every `key` or `key=value` must match."""
    for entry in wanted:
        key, found, value = entry.partition("=")
        if key not in labels or (found and labels[key] != value):
            return False
    return True


def _prefix(actual: str, wanted: Sequence[str]) -> bool:
    return any(actual.startswith(value) for value in wanted)


SERVICE = ("id", "label", "mode", "name", "runtime")
TASK = ("_up-to-date", "desired-state", "id", "label", "name", "node", "runtime", "service")
NODE = ("id", "label", "membership", "name", "node.label", "role")
NETWORK = ("dangling", "driver", "id", "label", "name", "scope", "type")
MATERIAL = ("id", "label", "name", "names")


def services(swarm: Swarm, wanted: Filters) -> list[Service]:
    """The services that pass."""
    tests: dict[str, Callable[[Service, Sequence[str]], bool]] = {
        "id": lambda service, values: _prefix(service.id, values),
        "name": lambda service, values: _prefix(service.name, values),
        "label": lambda service, values: has_label(service.spec["Labels"], values),
        "mode": lambda service, values: ("global" if service.replicas is None else "replicated") in values,
        "runtime": lambda _, values: "container" in values,
    }
    return [one for one in swarm.services.values() if all(tests[key](one, values) for key, values in wanted.items())]


def tasks(swarm: Swarm, wanted: Filters) -> list[Task]:
    """The tasks that pass. A filter for one service costs that service's tasks. Raises Refused for an
    unknown service."""
    pool: Sequence[Task]
    if "service" in wanted:
        ids = {lookup.service(swarm, ref).id: None for ref in wanted["service"]}
        pool = [task for service_id in ids for task in swarm.tasks_of(service_id)]
    else:
        pool = list(swarm.tasks.values())
    nodes = {lookup.node(swarm, ref).id for ref in wanted.get("node", ())}
    for state in wanted.get("desired-state", ()):
        if state not in STATES:
            raise Refused(400, f"invalid desired-state filter: '{state}'")
    fresh = {value in {"true", "1"} for value in wanted.get("_up-to-date", ())}
    tests: dict[str, Callable[[Task, Sequence[str]], bool]] = {
        "service": lambda *_: True,
        "id": lambda task, values: _prefix(task.id, values),
        "name": lambda task, values: _prefix(task_name(task), values),
        "node": lambda task, _: task.node_id in nodes,
        "desired-state": lambda task, values: task.desired in values,
        "label": lambda task, values: has_label((task.template.get("ContainerSpec") or {}).get("Labels") or {}, values),
        "runtime": lambda _, values: "container" in values,
        "_up-to-date": lambda task, _: _up_to_date(swarm, task) in fresh,
    }
    return [one for one in pool if all(tests[key](one, values) for key, values in wanted.items())]


def _up_to_date(swarm: Swarm, task: Task) -> bool:
    service = swarm.services.get(task.service_id)
    return service is not None and not is_dirty(service, task)


def task_name(task: Task) -> str:
    """`shop.1.<task id>`, for a global service's task `shop.<node id>.<task id>`."""
    return f"{task.service_name}.{task.key}.{task.id}"


def nodes(swarm: Swarm, wanted: Filters) -> list[Node]:
    """The nodes that pass."""
    tests: dict[str, Callable[[Node, Sequence[str]], bool]] = {
        "id": lambda node, values: _prefix(node.id, values),
        "name": lambda node, values: _prefix(node.hostname, values),
        "role": lambda node, values: node.spec["Role"] in values,
        "membership": lambda _, values: "accepted" in values,
        "label": lambda *_: False,
        "node.label": lambda node, values: has_label(node.spec["Labels"], values),
    }
    return [one for one in swarm.nodes.values() if all(tests[key](one, values) for key, values in wanted.items())]


def networks(swarm: Swarm, wanted: Filters) -> list[Network]:
    """The networks that pass; names match anywhere, as in Docker."""
    tests: dict[str, Callable[[Network, Sequence[str]], bool]] = {
        "id": lambda network, values: _prefix(network.id, values),
        "name": lambda network, values: any(value in network.name for value in values),
        "driver": lambda network, values: network.driver in values,
        "scope": lambda network, values: network.scope in values,
        "type": lambda network, values: ("custom" if network.id in swarm.subnets else "builtin") in values,
        "label": lambda network, values: has_label(network.labels, values),
        "dangling": lambda *_: True,
    }
    return [one for one in swarm.networks.values() if all(tests[key](one, values) for key, values in wanted.items())]


def materials(swarm: Swarm, kind: str, wanted: Filters) -> list[Material]:
    """The secrets or configs that pass."""
    tests: dict[str, Callable[[Material, Sequence[str]], bool]] = {
        "id": lambda thing, values: _prefix(thing.id, values),
        "name": lambda thing, values: _prefix(thing.name, values),
        "names": lambda thing, values: thing.name in values,
        "label": lambda thing, values: has_label(thing.spec["Labels"], values),
    }
    things = [thing for thing in swarm.materials.values() if thing.kind == kind]
    return [one for one in things if all(tests[key](one, values) for key, values in wanted.items())]
