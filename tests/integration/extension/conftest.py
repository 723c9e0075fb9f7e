"""A folder and a port for one nginx, backends, and a worker on a real bus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock_extension.nginx.control import NginxControl
from interlock_extension.nginx.render import NginxRenderer
from support.extension_lab import WorkerLab
from support.nginx_lab import Backend, open_nginx
from support.ports import free_port


class Lab:
    """One nginx."""

    def __init__(self, folder: Path, port: int, binary: str, **options: object) -> None:
        self.folder, self.port, self.binary, self.options = folder, port, binary, options
        self.renderer, self.control = self.open()

    def open(self) -> tuple[NginxRenderer, NginxControl]:
        """As a worker does that is started (again)."""
        return open_nginx(self.folder, self.port, binary=self.binary, **self.options)


@pytest.fixture
def backend() -> Iterator[Callable[..., Backend]]:
    made: list[Backend] = []

    def make(name: str, port: int = 0, address: str = "127.0.0.1") -> Backend:
        made.append(Backend(name, port, address))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def binary() -> str:
    """Which nginx; `support.nginx_lab.both` gives two."""
    return ""


@pytest.fixture
def nginx(tmp_path: Path, binary: str) -> Iterator[Lab]:
    lab = Lab(tmp_path / "nginx", free_port(), binary, WorkerProcesses=2)
    yield lab
    lab.control.stop(2.0)


@pytest.fixture
def lab(tmp_path: Path, binary: str) -> Iterator[WorkerLab]:
    made = WorkerLab(tmp_path, binary)
    yield made
    made.close()
