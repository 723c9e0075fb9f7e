"""The images of a lab, made on the machine and without a registry: `il-lab/python` and, from it, `il-lab/backend`."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.swarm import rootfs
from support.swarm.lab import Swarm
from support.swarm.node import Node

PYTHON = "il-lab/python:1"
BACKEND = "il-lab/backend:1"
_ENV = "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1"


def make(swarm: Swarm) -> None:
    """Makes both, on every node."""
    folder = swarm.folder / "images"
    (folder / "backend").mkdir(parents=True)
    archive = folder / "python.tar"
    rootfs.write(archive)
    builder = swarm.manager()
    builder.docker("import", "-c", _ENV, archive, PYTHON)
    shutil.copy(Path(__file__).with_name("backend.py"), folder / "backend")
    dockerfile = f'FROM {PYTHON}\nCOPY backend.py /backend.py\nUSER 65534\nCMD ["python3", "/backend.py"]\n'
    (folder / "backend" / "Dockerfile").write_text(dockerfile)
    build(builder, BACKEND, folder / "backend")
    share(swarm, builder, [PYTHON, BACKEND])


def build(node: Node, tag: str, context: Path, *options: str) -> None:
    """With the classic builder, which every engine has."""
    node.docker("build", "-q", "-t", tag, *options, context, timeout=300)


def share(swarm: Swarm, builder: Node, tags: list[str]) -> None:
    """What one node has built, on the others: the same image ids."""
    if len(swarm.nodes) == 1:
        return
    archive = swarm.folder / "images" / "shared.tar"
    builder.docker("save", "-o", archive, *tags)
    for node in swarm.nodes.values():
        if node is not builder:
            node.docker("load", "-q", "-i", archive)
