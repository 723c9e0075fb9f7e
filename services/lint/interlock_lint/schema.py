"""What of a stack file's shape Docker refuses, or passes over with labels of ours in it. Pure; called by `compose`.

Docker ignores keys that begin with `x-`, at the top and of services, and nothing else that it does not know.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import NamedTuple

from interlock.labels.label import PREFIX
from interlock_lint.document import Items, Map, Node, Place, Scalar

TOP = frozenset({"version", "services", "networks", "volumes", "secrets", "configs"})
# Of Compose 3.13, the last version that Docker gave itself.
SERVICE = frozenset((
    "build", "cap_add", "cap_drop", "cgroup_parent", "cgroupns_mode", "command", "configs", "container_name",
    "credential_spec", "depends_on", "deploy", "devices", "dns", "dns_search", "domainname", "entrypoint", "env_file",
    "environment", "expose", "external_links", "extra_hosts", "healthcheck", "hostname", "image", "init", "ipc",
    "isolation", "labels", "links", "logging", "mac_address", "network_mode", "networks", "oom_score_adj", "pid",
    "ports", "privileged", "read_only", "restart", "secrets", "security_opt", "shm_size", "stdin_open",
    "stop_grace_period", "stop_signal", "sysctls", "tmpfs", "tty", "ulimits", "user", "userns_mode", "volumes",
    "working_dir",
))  # fmt: skip
DEPLOY = frozenset((
    "endpoint_mode", "labels", "mode", "placement", "replicas", "resources", "restart_policy", "rollback_config",
    "update_config",
))  # fmt: skip
_VERSIONS = frozenset({"", "3", *(f"3.{minor}" for minor in range(14))})
_NEWEST = '"3.8"'


class Mistake(NamedTuple):
    """One of them; `service` is empty at the top of the file."""

    place: Place
    service: str
    code: str
    key: str
    value: str
    reason: str
    remedy: str


def mistakes_of(root: Map) -> Iterator[Mistake]:
    """All of one file: its version, keys that Docker does not know, and labels of ours where nothing reads them."""
    yield from _version(root)
    yield from _keys(root, "", "the top of the file", TOP)
    services = root.get("services")
    for name, (_, service) in services.entries.items() if isinstance(services, Map) else ():
        if not isinstance(service, Map):
            continue
        yield from _keys(service, name, "a service", SERVICE)
        deploy = service.get("deploy")
        if isinstance(deploy, Map):
            yield from _keys(deploy, name, "`deploy`", DEPLOY, extensible=False)
    yield from _stray(root)


def _version(root: Map) -> Iterator[Mistake]:
    place, version = root.entries.get("version", (root.place, None))
    if version is None:
        return
    text = version.text if isinstance(version, Scalar) else ""
    if isinstance(version, Scalar) and version.kind == "str" and text in _VERSIONS:
        return
    if text in _VERSIONS - {""}:
        reason, remedy = "is a number, and so Docker refuses the file", f'Write "{text}", in quotes'
    else:
        reason = "is no version of Compose files that docker stack deploy takes"
        remedy = f"Write {_NEWEST}, and replace what version 3 no longer has"
    yield Mistake(place, "", "stack-invalid", "version", text, reason, remedy)


def _keys(node: Map, service: str, where: str, known: frozenset[str], *, extensible: bool = True) -> Iterator[Mistake]:
    for key, (place, _) in node.entries.items():
        if key in known or (extensible and key.startswith("x-")):
            continue
        near = _near(key, known)
        remedy = f"Did you mean {near}?" if near else "Remove it"
        reason = f"is no key of {where}, and so Docker refuses the file"
        yield Mistake(place, service, "stack-invalid", key, "", reason, remedy)


def _near(key: str, known: frozenset[str]) -> str:
    found = difflib.get_close_matches(key[:64].lower(), sorted(known), n=1, cutoff=0.7)
    return found[0] if found else ""


def _stray(root: Map) -> Iterator[Mistake]:
    """Labels of ours that are neither of a service nor of its containers, which `judging` tells."""
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        # An alias is one node in many places: what is below it is told once.
        if id(node) in seen or _is_read(path) or _is_mistyped(path):
            continue
        seen.add(id(node))
        service = path[1] if path[:1] == ("services",) and len(path) > 1 else ""
        if isinstance(node, Map):
            for key, (place, value) in node.entries.items():
                if key.startswith(PREFIX):
                    yield _misplaced(place, service, key, value.text if isinstance(value, Scalar) else "", path)
                else:
                    waiting.append(((*path, key), value))
        elif isinstance(node, Items):
            for item in node.items:
                if not isinstance(item, Scalar):
                    waiting.append(((*path, ""), item))
                elif item.text.startswith(PREFIX) and "=" in item.text and _near(path[-1], frozenset({"labels"})):
                    name, _, text = item.text.partition("=")
                    yield _misplaced(item.place, service, name, text, path)


def _is_read(path: tuple[str, ...]) -> bool:
    of_service = path[2:] if path[:1] == ("services",) else ()
    return of_service in (("labels",), ("deploy", "labels")) or (bool(path) and path[-1].startswith("x-"))


def _is_mistyped(path: tuple[str, ...]) -> bool:
    """Whether it is told already that a key is mistyped; once it is right, so is what stands below."""
    if path[:1] != ("services",):
        return False
    of_service = path[2:]
    known = SERVICE if len(of_service) == 1 else DEPLOY if of_service[:-1] == ("deploy",) else frozenset[str]()
    return bool(of_service) and of_service[-1] not in known and bool(_near(of_service[-1], known))


def _misplaced(place: Place, service: str, key: str, value: str, path: tuple[str, ...]) -> Mistake:
    where = f"below {'.'.join(filter(None, path))}" if path else "at the top of the file"
    reason = f"stands {where}, where nothing reads it"
    remedy = "Move it to `deploy.labels` of the service that it is for"
    return Mistake(place, service, "label-misplaced", key, value, reason, remedy)
