"""As whom a proxy's workers run. Shell."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from interlock.errors import ConfigError

UCP_USER = "nginx"
"""What UCP writes as `User` by itself: nobody's choice, and images of nginx have that user while machines do not."""


def worker_user(folder: Path, wanted: str) -> tuple[str, str] | None:
    """The `user` directive's user and group: what is wanted, else nobody. None unless we are root and can choose.

    Workers write bodies that do not fit their buffers below `folder`. Where its parents are closed to others (a home
    of mode 0700) they could not, and only then they stay root. Raises `ConfigError` for an unknown user.
    """
    if os.geteuid() != 0:
        return None
    name, _, group = wanted.partition(" ")
    if not name or (name == UCP_USER and not _is_user(name)):
        above = [path for path in folder.resolve().parents if path.exists()]
        name, group = "nobody" if all(path.stat().st_mode & 0o001 for path in above) else "root", ""
    try:
        # Named, since nginx takes a group of the user's name, which Debian's nobody does not have.
        user = pwd.getpwnam(name)
        found = grp.getgrnam(group.strip()) if group.strip() else grp.getgrgid(user.pw_gid)
    except KeyError as error:
        raise ConfigError('there is no such user with a group here; write User = "nobody", or another') from error
    closed = [
        path for path in folder.resolve().parents if path.exists() and not _passes(path, user.pw_uid, found.gr_gid)
    ]
    if closed:
        raise ConfigError(
            f"{name} cannot pass through {closed[-1]}, where the proxy's files are; choose another --state-dir, or "
            "leave User out"
        )
    return name, found.gr_name


def _passes(folder: Path, user: int, group: int) -> bool:
    """Whether somebody may go through a folder; root may everywhere."""
    found = folder.stat()
    bit = 0o100 if found.st_uid == user else 0o010 if found.st_gid == group else 0o001
    return user == 0 or bool(found.st_mode & bit)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
