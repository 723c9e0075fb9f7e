"""What `interlock doctor` looks at for a watcher: is Docker there, a manager, of a version we speak, and narrowed?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from interlock.doctor.port import Ask, Check, Finding, error, ok, warning
from interlock.errors import ConfigError, DockerError, DockerUnavailable
from interlock_watcher.docker_source import DockerSource
from interlock_watcher.endpoint import Tls

DEFAULT_SOCKET = "/var/run/docker.sock"

_NEEDED = "GET of /version, /services, /tasks, /nodes, /networks and /events"
_BEYOND = ("/secrets", "/containers/json")
"""Reads that a watcher never makes: an API that answers them lets more through than it needs, likely everything."""


def run(ask: Ask) -> Iterable[Finding]:
    """Everything about Docker."""
    ca, cert, key = ask.tls
    tls = Tls(ca=ca, cert=cert, key=key) if ca or cert or key else None
    try:
        source = DockerSource(_url(ask), tls=tls, places=ask.places)
    except ConfigError as failed:
        return [error("docker", str(failed), lost="no watcher can start", remedy="correct --docker and --tls-…")]
    try:
        return list(_look(source))
    finally:
        source.close()


def _url(ask: Ask) -> str:
    return ask.docker or os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"


def _look(source: DockerSource) -> Iterator[Finding]:
    try:
        nodes = source.nodes()
    except DockerUnavailable as failed:
        yield _failed(source, failed)
        return
    except DockerError as failed:
        remedy = "give the socket of a manager's engine that answers " + _NEEDED
        yield error("docker", str(failed), lost="a watcher cannot read the Swarm", remedy=remedy)
        return
    yield ok("docker", f"{source.url} is a manager, one of {len(nodes)} nodes")
    yield ok("docker version", f"{source.engine_version or '?'}, API {source.api_version} is spoken")
    try:
        services, unreadable = source.services()
        tasks, _ = source.tasks()
        source.networks()
        _open_events(source)
    except DockerError as failed:
        remedy = "let the watcher through for " + _NEEDED
        yield error("docker reads", str(failed), lost="a watcher cannot read the Swarm", remedy=remedy)
        return
    if unreadable:
        yield warning(
            "docker reads", f"{len(unreadable)} services make no sense: {', '.join(sorted(unreadable))}",
            lost="these keep the state that was read last", remedy="a newer Interlock may know what they hold",
        )  # fmt: skip
    else:
        yield ok("docker reads", f"{len(services)} services, {len(tasks)} tasks, networks and events can be read")
    yield _narrowed(source)


def _failed(source: DockerSource, failed: DockerUnavailable) -> Finding:
    if "not a swarm manager" in str(failed):
        return error(
            "docker", f"{source.url} is not a manager of a Swarm", lost="services and tasks cannot be read there",
            remedy="run the watcher on a manager (`node.role == manager`), or `docker swarm init`",
        )  # fmt: skip
    return error(
        "docker", str(failed), lost="changes in the Swarm are not seen; what was known is still served",
        remedy="see that Docker runs and that this user may open its socket",
    )  # fmt: skip


def _open_events(source: DockerSource) -> None:
    # The stream's own opening is its first value; nothing is waited for.
    events = source.events()
    next(events)
    events.close()


def _narrowed(source: DockerSource) -> Finding:
    served = [path for path in _BEYOND if source.serves(path)]
    if not served:
        return ok("docker access", "narrowed: what a watcher does not need is refused")
    return warning(
        "docker access", f"not narrowed: {' and '.join(served)} are answered as well",
        lost="whoever takes over the watcher can most likely do with the Swarm whatever Docker can",
        remedy=f"give it a socket that lets through {_NEEDED}, and nothing else",
    )  # fmt: skip


def _here(ask: Ask) -> bool:
    return bool(ask.docker or os.environ.get("DOCKER_HOST")) or Path(DEFAULT_SOCKET).exists()


check = Check(name="docker", roles=("watcher",), run=run, here=_here)
