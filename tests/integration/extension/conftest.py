"""A folder and a port for one nginx, backends, and a worker on a real bus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock_extension.nginx.control import NginxControl
from interlock_extension.nginx.render import NginxRenderer
from support.extension_lab import WorkerLab
from support.nginx_lab import Backend, free_port, open_nginx


class Lab:
    """One nginx."""

    def __init__(self, folder: Path, port: int, renderer: NginxRenderer, control: NginxControl) -> None:
        self.folder, self.port, self.renderer, self.control = folder, port, renderer, control


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
def nginx(tmp_path: Path) -> Iterator[Lab]:
    port = free_port()
    renderer, control = open_nginx(tmp_path / "nginx", port, WorkerProcesses=2)
    lab = Lab(tmp_path / "nginx", port, renderer, control)
    yield lab
    lab.control.stop(2.0)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WorkerLab]:
    made = WorkerLab(tmp_path)
    yield made
    made.close()
