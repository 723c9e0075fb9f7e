"""Finding what the demo starts, and saying what to type."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interlock.errors import ConfigError, PartMissing
from interlock_demo import place, scene
from interlock_demo.installation import console_script


def test_a_missing_service_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PartMissing, match=r"interlock-watcher .*pip install 'interlock\[demo\]'"):
        console_script("watcher")


def test_the_command_is_what_works_in_another_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "interlock").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(binaries / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("INTERLOCK_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert place.command() == ".venv/bin/interlock"
    monkeypatch.chdir(binaries)
    assert place.command() == "./interlock"
    monkeypatch.setenv("PATH", str(binaries))
    assert place.command() == "interlock"
    monkeypatch.setenv("INTERLOCK_RUN_DIR", "/run/x")
    assert place.command() == "INTERLOCK_RUN_DIR=/run/x interlock"


def test_a_port_beyond_the_last_is_never_tried() -> None:
    with pytest.raises(ConfigError, match="--port"):
        place.free_port(65536)


def test_replicas_are_bounded() -> None:
    with pytest.raises(ConfigError, match="give 0 to 50"):
        scene.scale(None, "shop", 51)  # type: ignore[arg-type]  # refused before the Swarm is asked


def test_what_docker_says_of_a_service() -> None:
    service: dict[str, object] = {
        "Spec": {
            "Mode": {"Replicated": {"Replicas": 3}},
            "TaskTemplate": {"ContainerSpec": {"Env": ["PORT=1", "APP_VERSION=4"]}},
        }
    }
    assert (scene.version_of(service), scene.replicas(service), scene.updating(service)) == (4, 3, False)
    assert scene.updating({**service, "UpdateStatus": {"State": "updating"}})
