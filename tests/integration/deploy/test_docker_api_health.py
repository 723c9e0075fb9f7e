"""What the health check of the filter before Docker's API says to an operator."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from types import ModuleType

import pytest

from support.house import ROOT


@pytest.fixture
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docker_api_health", ROOT / "deploy" / "docker-api" / "health.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_socket_that_is_not_there(health: ModuleType, tmp_path: Path) -> None:
    health.SOCKET = str(tmp_path / "docker.sock")
    assert "mount Docker's socket there" in health.cause(OSError("refused"))


def test_a_group_that_is_not_the_sockets(health: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    health.SOCKET = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(health.SOCKET)
        group = Path(health.SOCKET).stat().st_gid
        # Root may open everything; the container's user may not.
        monkeypatch.setattr(health.os, "access", lambda *_: False)
        assert f"set DOCKER_GID={group}" in health.cause(OSError("502"))
        monkeypatch.setattr(health.os, "access", lambda *_: True)
        assert "Docker does not answer" in health.cause(OSError("502"))
