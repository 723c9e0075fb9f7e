"""A stack file as an importer sees it: services, their labels, ports and networks. Pure.

Raises `ConfigError` for what is no stack file; the message goes behind the file's name.
"""

from __future__ import annotations

import re

import msgspec

from interlock.errors import ConfigError
from interlock_importer.tree import Node, effective, parse

_PORT = re.compile(r"(?:.*:)?([0-9]+)(?:/tcp)?")
_HRM_NETWORK = "ucp-hrm"
_HRM_LABEL = "com.docker.ucp.mesh.http"


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network that a service is on, by the name to write into a label. `hrm`: one that HRM was on."""

    name: str
    hrm: bool


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service. `labels` are those of the service (`deploy.labels`), `container_labels` those of its containers.

    `ports`: the container ports that it publishes over TCP, `exposed`: that it exposes; an empty text stands for one
    that the file does not tell.
    """

    name: str
    labels: dict[str, str]
    container_labels: dict[str, str]
    ports: tuple[str, ...]
    exposed: tuple[str, ...]
    networks: tuple[Network, ...]


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `version` is empty where the file names none."""

    root: Node
    version: str
    services: tuple[Service, ...]


def read_stack(text: str) -> Stack:
    """The services of a stack file, in its order."""
    root = parse(text)
    if root.kind != "map":
        raise ConfigError("is not a stack file: it is no map with `services` in it")
    top = effective(root)
    services = top.get("services")
    if services is None or services.resolved.kind != "map":
        raise ConfigError("is not a stack file: it has no map `services`; version 1 of Compose must be converted first")
    networks = _networks(top.get("networks"))
    version = top.get("version")
    return Stack(
        root=root,
        version=version.resolved.value if version else "",
        services=tuple(_service(name, node, networks) for name, node in effective(services).items()),
    )


def _service(name: str, node: Node, known: dict[str, Network]) -> Service:
    if node.resolved.kind != "map":
        raise ConfigError(f"is not a stack file: the service {name} is no map")
    keys = effective(node)
    deploy = keys.get("deploy")
    if deploy is not None and not deploy.resolved.null and deploy.resolved.kind != "map":
        raise ConfigError(f"is not a stack file: `deploy` of the service {name} is no map")
    inside = effective(deploy) if deploy is not None else {}
    return Service(
        name=name,
        labels=_labels(inside.get("labels"), f"`deploy.labels` of the service {name}"),
        container_labels=_labels(keys.get("labels"), f"`labels` of the service {name}"),
        ports=_ports(keys.get("ports")),
        exposed=_ports(keys.get("expose")),
        networks=tuple(
            known.get(each, Network(name=each, hrm=each == _HRM_NETWORK)) for each in _names(keys.get("networks"))
        ),
    )


def _labels(node: Node | None, what: str) -> dict[str, str]:
    """Labels of a map or a list of `name=value`, as texts."""
    if node is None or node.resolved.null:
        return {}
    found: dict[str, str] = {}
    if node.resolved.kind == "map":
        for name, value in effective(node).items():
            found[name] = _text(value, what)
    elif node.resolved.kind == "list":
        for item in node.resolved.items:
            name, _, text = _text(item, what).partition("=")
            found[name] = text
    else:
        raise ConfigError(f"is not a stack file: {what} are neither a map nor a list")
    return found


def _text(node: Node, what: str) -> str:
    if node.resolved.kind != "scalar":
        raise ConfigError(f"is not a stack file: {what} hold something that is no text")
    return "" if node.resolved.null else node.resolved.value


def _names(node: Node | None) -> tuple[str, ...]:
    """The keys of a map or the items of a list."""
    if node is None:
        return ()
    if node.resolved.kind == "map":
        return tuple(effective(node))
    return tuple(item.resolved.value for item in node.resolved.items)


def _ports(node: Node | None) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for item in node.resolved.items if node is not None else ():
        entry = item.resolved
        if entry.kind == "map":
            keys = {key: value.resolved.value for key, value in effective(entry).items()}
            if keys.get("protocol", "tcp") != "tcp":
                continue
            text = keys.get("target", "")
        else:
            text = entry.value
        if not text.endswith("/udp"):
            port = _PORT.fullmatch(text)
            found.setdefault(port[1] if port else "")
    return tuple(found)


def _networks(node: Node | None) -> dict[str, Network]:
    """The file's own networks by key, each with the name that a label would use."""
    if node is None or node.resolved.kind != "map":
        return {}
    found: dict[str, Network] = {}
    for key, value in effective(node).items():
        keys = effective(value)
        external = keys.get("external")
        named = keys.get("name") or (effective(external).get("name") if external else None)
        name = named.resolved.value if named else key
        hrm = name == _HRM_NETWORK or any(
            label.startswith(_HRM_LABEL) for label in _labels(keys.get("labels"), f"`labels` of the network {key}")
        )
        found[key] = Network(name=name, hrm=hrm)
    return found
