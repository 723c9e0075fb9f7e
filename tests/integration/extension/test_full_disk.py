"""A killed proxy comes back on a full disk from the files that are there: on a real one, in a mount namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.nginx_lab import Backend
from support.ports import free_port

pytestmark = pytest.mark.chaos
_TESTS = Path(__file__).parents[2]
_ALONE = ("unshare", "--mount", "--propagation", "private")


def _may_mount() -> bool:
    try:
        command = [*_ALONE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not _may_mount(), reason="needs root that may mount")
@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_a_killed_proxy_comes_back_on_a_full_disk(tmp_path: Path, backend: Callable[..., Backend], kind: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    one, two = backend("one"), backend("two")
    script = 'mount -t tmpfs -o size=1m,mode=755 tmpfs "$0" && exec "$@"'
    numbers = [str(port) for port in (free_port(), one.port, two.port)]
    done = subprocess.run(
        [*_ALONE, "sh", "-c", script, str(disk), sys.executable, "-m", "support.full_disk", kind, str(disk), *numbers],
        env={**os.environ, "PYTHONPATH": str(_TESTS)}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "killed": "started",
        "says": ["two", "one"],
        "runs what it says": True,
        "witness": True,
        "change": "full",
        "says after": ["two", "one"],
        "killed again": "started",
        "adopted": "adopted",
        "other": "full",
        "space": ["started", "done"],
        "says at last": ["one", "two"],
    }
    assert "nothing can be written" in done.stdout + done.stderr
