"""Running the programs of the machine that a lab needs; a failure says what they said."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

# The classic builder, which every engine has, and none of the user's own settings of the command line.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")},
    "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
    "DOCKER_BUILDKIT": "0",
}
NEEDED = ("dockerd", "containerd", "runc", "docker", "ip", "iptables", "nsenter", "unshare", "busybox", "curl")


def run(*command: str | Path, check: bool = True, timeout: float = 120) -> str:
    """What the command printed. Raises AssertionError with all that it said where it failed and `check` is true."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout, env=ENVIRONMENT)
    said = f"{done.stdout}{done.stderr}"
    assert not check or done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{said}"
    return done.stdout


def succeeds(*command: str | Path) -> bool:
    """Whether the command ends with 0."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, check=False, timeout=60, env=ENVIRONMENT).returncode == 0


def until(condition: Callable[[], object], timeout: float, what: str, every: float = 0.05) -> None:
    """Waits for it. Raises AssertionError with `what` when it does not come."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(every)
