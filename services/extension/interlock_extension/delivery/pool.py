"""The folder of a worker: its own, or one of a volume that the workers of a node share. Shell.

Of a volume each takes a folder and begins with the newest last good in it.

So two tasks of a proxy on one node never share a folder, and a task that replaces another finds what that one kept, or
what its neighbour has kept since. A folder belongs to a container, not to a process: a worker that is started again
there finds the proxy that its predecessor has left, and until then nobody else may take the folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

from interlock.errors import ConfigError
from interlock.runtime.init import CONTAINER
from interlock.runtime.logging import get_logger
from interlock_extension.delivery.files import FolderInUse, LastGood

MOST = 64
ABANDONED = 15.0
"""Seconds without a sign of its owner after which a folder is anybody's; an init starts a worker again within five."""


class Claim:
    """A folder that is ours."""

    def __init__(self, folder: Path, last_good: LastGood, me: str) -> None:
        self.folder = folder
        self.last_good = last_good
        self._mark = folder / "owner"
        with contextlib.suppress(OSError):
            self._mark.write_text(me)

    def keep(self) -> None:
        """A sign of life; to be given about once a second."""
        with contextlib.suppress(OSError):
            os.utime(self._mark)

    def close(self) -> None:
        """Give it free, for anybody at once."""
        self._mark.unlink(missing_ok=True)
        self.last_good.close()


def own(folder: Path, cluster: str) -> Claim:
    """A folder that nobody else is to use. Raises `ConfigError`."""
    return Claim(folder, LastGood(folder, cluster), _me())


def claim(volume: Path, cluster: str) -> Claim:
    """The folder that this container has had, else the first of the volume that is free. Raises `ConfigError`."""
    me = _me()
    folders = [volume / str(number) for number in range(1, MOST + 1)]
    for folder in sorted(folders, key=lambda path: _owner(path) != me):
        if not _free(folder, me):
            continue
        try:
            last_good = LastGood(folder, cluster)
        except FolderInUse:
            continue
        found = last_good.seed(path for path in volume.iterdir() if path != folder and path.name.isdigit())
        if found is not None:
            get_logger(service="extension").info("began with what another worker kept", folder=str(found))
        return Claim(folder, last_good, me)
    raise ConfigError(f"--state-dir {volume}: {MOST} workers hold a folder of it; give these a volume of their own")


def _me() -> str:
    return os.environ.get(CONTAINER) or secrets.token_hex(8)


def _owner(folder: Path) -> str:
    try:
        return (folder / "owner").read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _free(folder: Path, me: str) -> bool:
    try:
        # A mark of the future is one that nobody has renewed since the clock was set back.
        age = time.time() - (folder / "owner").stat().st_mtime
    except OSError:
        return True
    return _owner(folder) == me or abs(age) > ABANDONED
