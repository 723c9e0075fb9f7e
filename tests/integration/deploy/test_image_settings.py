"""The settings that the proxy's image brings reach the worker, and the doctor that is run beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from interlock.cli import main as interlock
from interlock_extension import app
from interlock_extension.cli import main as extension

DOCKERFILE = Path(__file__).parents[3] / "deploy" / "Dockerfile"


def environment_of(target: str) -> dict[str, str]:
    stage = DOCKERFILE.read_text(encoding="utf-8").partition(f"FROM runtime AS {target}\n")[2].partition("\nFROM ")[0]
    return dict(re.findall(r"(INTERLOCK_\w+)=(\S+)", stage))


def test_the_worker_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[app.Options] = []

    def run(options: app.Options) -> int:
        taken.append(options)
        return 0

    monkeypatch.setattr(app, "run", run)
    done = CliRunner(env=environment_of("proxy")).invoke(extension, ["--bus", "redis://bus:6379/0"])
    assert done.exit_code == 0, done.output
    [options] = taken
    assert options.state_dir == Path("/var/lib/interlock")
    assert options.listen == ("8080",)
    assert options.shared_state
    assert options.stop_timeout == 20.0


def test_the_doctor_looks_at_the_same_folder() -> None:
    environment = environment_of("proxy")
    assert environment["INTERLOCK_STATE_DIR"]
    done = CliRunner(env=environment).invoke(interlock, ["doctor", "--role", "proxy", "--json"])
    assert environment["INTERLOCK_STATE_DIR"] in done.stdout
