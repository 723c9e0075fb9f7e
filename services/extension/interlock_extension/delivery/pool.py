"""One volume for several workers of a node: each takes a folder of it and begins with the newest last good. Shell.

So two tasks of a proxy on one node never share a folder, and a task that replaces another finds what that one kept, or
what its neighbour has kept since.
"""

from __future__ import annotations

from pathlib import Path

from interlock.errors import ConfigError
from interlock.runtime.logging import get_logger
from interlock_extension.delivery.files import FolderInUse, LastGood

MOST = 64


def claim(volume: Path, cluster: str) -> tuple[Path, LastGood]:
    """The first folder of the volume that no worker holds, locked. Raises `ConfigError`."""
    for number in range(1, MOST + 1):
        folder = volume / str(number)
        try:
            mine = LastGood(folder, cluster)
        except FolderInUse:
            continue
        found = mine.seed(path for path in volume.iterdir() if path != folder and path.name.isdigit())
        if found is not None:
            get_logger(service="extension").info("began with what another worker kept", folder=str(found))
        return folder, mine
    raise ConfigError(
        f"--state-dir {volume}: {MOST} workers hold a folder of it; give these proxies a volume of their own"
    )
