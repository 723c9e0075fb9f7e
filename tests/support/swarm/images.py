"""The images of a lab, made on the machine and without a registry.

`il-lab/python` stands in for the base image that a user would name, `il-lab/backend` is what answers, and the product's
own are built from deploy/Dockerfile. Made once for a test session, when a Swarm first wants them.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from interlock_simulator import echo
from support.house import ROOT
from support.swarm import rootfs
from support.swarm.lab import Swarm
from support.swarm.node import Node, inherit
from support.swarm.quiet import alone

PYTHON = "il-lab/python:1"
BACKEND = "il-lab/backend:1"
BASE = "python:3.11-slim"
"""What deploy/Dockerfile begins with unless told otherwise; here it is `il-lab/python` under that name."""

PARTS = ("bus", "docker-api", "watcher", "planner", "proxy", "trial")
PRODUCT = tuple(f"interlock/{part}:latest" for part in PARTS)
_ENV = "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1"


class Images:
    """What has been made in this session; `folder` keeps it, as data folders of an engine. Processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def basic(self) -> Path:
        """Base and backend, for the nodes of a `Swarm`."""
        return self._provide("basic", None, self._make_basic)

    def product(self) -> Path:
        """The same, and the product's own."""
        return self._provide("product", self.basic(), _make_product)

    def _provide(self, name: str, first: Path | None, make: Callable[[Node], None]) -> Path:
        self._folder.mkdir(exist_ok=True)
        data = self._folder / name
        with alone():
            if not data.exists():
                with Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), images=first, formed=False) as lab:
                    builder = lab.nodes[1]
                    make(builder)
                    # Ended in peace: what it has written is whole.
                    builder.stop()
                    inherit(builder.data, data)
        return data

    def _make_basic(self, builder: Node) -> None:
        archive = self._folder / "python.tar"
        rootfs.write(archive)
        builder.docker("import", "-c", _ENV, archive, PYTHON)
        builder.docker("tag", PYTHON, BASE)
        context = self._folder / "backend"
        context.mkdir(exist_ok=True)
        for name in (Path(__file__).with_name("backend.py"), Path(echo.__file__)):
            shutil.copy(name, context)
        dockerfile = f'FROM {PYTHON}\nCOPY backend.py echo.py /\nUSER 65534\nCMD ["python3", "/backend.py"]\n'
        (context / "Dockerfile").write_text(dockerfile)
        build(builder, BACKEND, context)


def _make_product(builder: Node) -> None:
    subprocess.run(["make", "-s", "-C", ROOT, "wheelhouse"], check=True)
    for part, tag in zip(PARTS, PRODUCT, strict=True):
        build(builder, tag, ROOT, "-f", ROOT / "deploy" / "Dockerfile", "--target", part)


def build(node: Node, tag: str, context: Path, *options: str | Path) -> None:
    """With the classic builder, which every engine has."""
    node.docker("build", "-q", "-t", tag, *options, context, timeout=300)
