"""`PidPath`: where others look for nginx's pid. Shell.

nginx writes its pid into its own folder, by which the next worker finds it again; the path is a symbolic link to that,
as long as nginx runs.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def link_pid(path: Path, pid_file: Path) -> str | None:
    """Make the link, in the place of an older link or pid file; why that is not possible, None where it is.

    A file that holds anything but a number is not ours to replace.
    """
    fresh = path.parent / f".{path.name}.{os.getpid()}"
    try:
        if not path.is_symlink() and path.exists() and not path.read_bytes().strip().isdigit():
            return f"{path} is there and is no pid file"
        fresh.symlink_to(pid_file)
        fresh.replace(path)
    except OSError as error:
        # A root that cannot be written refuses this as well, whether there is anything to remove or not.
        with contextlib.suppress(OSError):
            fresh.unlink()
        return f"{path} cannot be made: {error.strerror}"
    return None


def unlink_pid(path: Path, pid_file: Path) -> None:
    """Remove the link; what others have put in its place stays. One that may not be removed harms nobody."""
    with contextlib.suppress(OSError):
        if path.is_symlink() and path.readlink() == pid_file:
            path.unlink()
