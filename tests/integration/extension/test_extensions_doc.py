"""Who writes an extension from `docs/extensions.md` alone, outside the repository, has one that keeps the contract."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from interlock_extension.testing.contract import CHECKS
from interlock_extension.testing.listeners import listening
from support.doc_blocks import write_out
from support.extension_lab import WorkerLab
from support.house import ROOT
from support.nginx_lab import Backend, ask, endpoint, status_of


class Built(NamedTuple):
    """The page's files, and where the package is installed that was built of them."""

    sources: Path
    site: Path


def _run(*command: str, cwd: Path, **env: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("outside")
    assert not folder.is_relative_to(ROOT)
    made = Built(folder / "package", folder / "site")
    assert {"pyproject.toml", "tests/test_relay.py"} < set(write_out(ROOT / "docs" / "extensions.md", made.sources))
    # What it depends on is this checkout; what builds it is what builds us.
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    _run("pip", "install", "-q", *offline, "--target", str(made.site), str(made.sources), cwd=folder)
    return made


@pytest.mark.timeout(300)
def test_the_example_passes_the_whole_suite(built: Built, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    # From a folder where only the installed package is found, and not its sources.
    options = ("-q", "-W", "error", "-p", "no:cacheprovider", f"--junitxml={report}")
    _run("pytest", *options, cwd=built.sources / "tests", PYTHONPATH=str(built.site))
    cases = list(ET.parse(report).iter("testcase"))
    assert len(CHECKS) > 30
    assert sorted(case.get("name", "") for case in cases) == sorted(CHECKS)
    assert [case.get("name") for case in cases if len(case.findall("*"))] == []


def test_the_example_serves_a_plan_under_the_worker(
    built: Built, lab: WorkerLab, backend: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(built.site))
    one = backend("one")
    try:
        lab.spawn("--extension", "relay")
        outcome = lab.until_runs(lab.serve({"a.example": (endpoint(one.port, "t1"),)}))
        assert (outcome.extension, outcome.result) == ("relay", "updated")
        assert ask(lab.port, "a.example").text == "one GET / 0"
        assert lab.terminate() == 0
        assert status_of(lab.port, "a.example") == 0
    finally:
        # Only where it failed: a worker that is killed leaves its proxy.
        for pid in listening(lab.port):
            os.kill(pid, signal.SIGTERM)
