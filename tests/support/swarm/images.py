"""The images of a lab, made on the machine and without a registry.

`il-lab/python` stands in for the base image that a user would name, `il-lab/backend` is what answers, and the product's
own are built from deploy/Dockerfile. Made once for a test session, on the first Swarm that wants them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from support.house import ROOT
from support.swarm import rootfs
from support.swarm.lab import Swarm
from support.swarm.node import Node
from support.swarm.quiet import alone

PYTHON = "il-lab/python:1"
BACKEND = "il-lab/backend:1"
BASE = "python:3.11-slim"
"""What deploy/Dockerfile begins with unless told otherwise; here it is `il-lab/python` under that name."""

PARTS = ("bus", "docker-api", "watcher", "planner", "proxy", "trial")
PRODUCT = tuple(f"interlock/{part}:latest" for part in PARTS)
_ENV = "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1"


class Images:
    """What has been made in this session; `folder` keeps it as archives. Processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def basic(self, swarm: Swarm) -> None:
        """Base and backend, on every node."""
        self._provide(swarm, "basic", [PYTHON, BASE, BACKEND], self._make_basic)

    def product(self, swarm: Swarm) -> None:
        """The same, and the product's own."""
        self.basic(swarm)
        self._provide(swarm, "product", list(PRODUCT), _make_product)

    def _provide(self, swarm: Swarm, name: str, tags: list[str], make: object) -> None:
        self._folder.mkdir(exist_ok=True)
        archive = self._folder / f"{name}.tar"
        with alone():
            if not archive.exists():
                assert callable(make)
                builder = swarm.manager()
                make(builder)
                builder.docker("save", "-o", archive, *tags)
            swarm.load(archive)

    def _make_basic(self, builder: Node) -> None:
        archive = self._folder / "python.tar"
        rootfs.write(archive)
        builder.docker("import", "-c", _ENV, archive, PYTHON)
        builder.docker("tag", PYTHON, BASE)
        context = self._folder / "backend"
        context.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("backend.py"), context)
        dockerfile = f'FROM {PYTHON}\nCOPY backend.py /backend.py\nUSER 65534\nCMD ["python3", "/backend.py"]\n'
        (context / "Dockerfile").write_text(dockerfile)
        build(builder, BACKEND, context)


def _make_product(builder: Node) -> None:
    subprocess.run(["make", "-s", "-C", ROOT, "wheelhouse"], check=True)
    for part, tag in zip(PARTS, PRODUCT, strict=True):
        build(builder, tag, ROOT, "-f", ROOT / "deploy" / "Dockerfile", "--target", part)


def build(node: Node, tag: str, context: Path, *options: str | Path) -> None:
    """With the classic builder, which every engine has."""
    node.docker("build", "-q", "-t", tag, *options, context, timeout=300)
