"""The folder of an installation that runs on this machine for this user, and how other terminals find it.

Whoever starts an embedded bus announces its URL here; `interlock status` without `--bus` then goes there.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def run_dir() -> Path:
    """`$INTERLOCK_RUN_DIR`, else `interlock` under `$XDG_RUNTIME_DIR`, else `interlock-<uid>` among temporary files.

    Short, since unix sockets lie in it; it is not made here.
    """
    if given := os.environ.get("INTERLOCK_RUN_DIR"):
        return Path(given)
    if (runtime := os.environ.get("XDG_RUNTIME_DIR")) and Path(runtime).is_dir():
        return Path(runtime) / "interlock"
    return Path(tempfile.gettempdir()) / f"interlock-{os.getuid()}"


def announced_bus() -> str | None:
    """The URL of the bus that runs here, if one was announced and not withdrawn."""
    try:
        return (run_dir() / "bus.url").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def announce_bus(url: str) -> None:
    """Makes the URL known to other commands of this user."""
    folder = run_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "bus.url").write_text(url + "\n", encoding="utf-8")


def withdraw_bus() -> None:
    """Takes the announcement back."""
    (run_dir() / "bus.url").unlink(missing_ok=True)
