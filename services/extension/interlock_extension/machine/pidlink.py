"""`PidPath`: where others look for the proxy's pid. Shell.

The proxy writes its pid into its own folder, by which the next worker finds it again; the path is a symbolic link to
that, as long as the proxy runs.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from interlock.runtime.logging import get_logger
from interlock_extension.machine.places import Places


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


def announce_pid(path: str, pid_file: Path, places: Places, proxy: str) -> None:
    """The link that `PidPath` asks for, if it is set; where it cannot be made, nothing else depends on it.

    `proxy`: its kind, as logs name it.
    """
    pid_file = pid_file.parent.resolve() / pid_file.name
    wrong = link_pid(Path(path), pid_file) if path else None
    if wrong:
        get_logger(service="extension", proxy=proxy).warning(
            f"{places['PidPath']} has no effect: {wrong}; the pid is in {pid_file}"
        )


def withdraw_pid(path: str, pid_file: Path) -> None:
    """Remove that link again, when the proxy has been ended."""
    if path:
        unlink_pid(Path(path), pid_file.parent.resolve() / pid_file.name)
