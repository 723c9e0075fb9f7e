"""deploy/production.yml on a Swarm: its labels, its users of the bus, its secrets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support.swarm.lab import Swarm
from support.swarm.proxy import NGINX, Place
from support.swarm.stack import Stack

ROLES = ("watcher", "planner", "proxy", "proxy-internal")


def production(
    swarm: Swarm,
    folder: Path,
    *more: Path,
    bus: int,
    public: list[int],
    internal: list[int],
    clusters: tuple[str, str] = ("", "internal"),
    places: Sequence[Place] = NGINX,
) -> Stack:
    """The stack, to be entered: the bus on one node, the proxies of the two service clusters on others (workers).

    `more`: further stack files; `places`: the proxies that there are then.
    """
    labels = [
        (bus, "interlock.bus=yes"),
        *((node, "interlock.proxy=public") for node in public),
        *((node, "interlock.proxy=internal") for node in internal),
    ]
    for node, label in labels:
        swarm.docker("node", "update", "--label-add", label, swarm.nodes[node].name)
    command = [str(Path(sys.executable).with_name("interlock")), "acl", "--urls", str(folder)]
    for cluster in clusters:
        command += ["--cluster", cluster]
    users = folder / "users.acl"
    users.write_bytes(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    swarm.docker("secret", "create", "interlock-bus-acl", users)
    names = ["watcher", "planner", *(f"proxy-{cluster}" if cluster else "proxy" for cluster in clusters)]
    for role, name in zip(ROLES, names, strict=True):
        swarm.docker("secret", "create", f"interlock-{role}", folder / f"{name}.url")
    env = {"INTERLOCK_CLUSTER": clusters[0], "INTERLOCK_INTERNAL_CLUSTER": clusters[1]}
    operator = folder / "operator.url"
    return Stack(swarm, "production.yml", *more, node=public[0], places=places, env=env, operator=operator)
