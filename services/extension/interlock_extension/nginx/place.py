"""The folder of one nginx: atomic writes, what is installed, and as whom its workers run. Shell."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from interlock.errors import ConfigError, ProxyUnavailable
from interlock_extension.nginx.markers import ANNOUNCED

FOLDERS = ("hosts", "tmp", ANNOUNCED)


class Place:
    """The files of nginx. Names are relative to `folder`; content is kept in memory, so that nothing is read twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.content: dict[str, bytes] = {}
        self._undo: dict[str, bytes | None] = {}

    def open(self) -> None:
        """Make the folders and read what is installed. Raises `ProxyUnavailable`."""
        self._undo.clear()
        try:
            for name in ("", *FOLDERS):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
                if os.geteuid() == 0:
                    # nginx's workers run as another user and pass through here; they own only what they write.
                    (self.folder / name).chmod(0o711)
            self.content = {
                str(path.relative_to(self.folder)): path.read_bytes()
                for path in (*self.folder.glob("*.conf"), *self.folder.glob("hosts/*.conf"))
            }
        except OSError as error:
            raise ProxyUnavailable(f"the folder {self.folder} cannot be used: {error}; choose another") from error

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Install changed files, each at once (None: remove it). Raises `ProxyUnavailable`.

        They are not synced to the disk: after the machine has failed, nginx starts with what is rendered anew.
        """
        for name, data in changes.items():
            self._undo.setdefault(name, self.content.get(name))
            self._install(name, data)

    def proven(self) -> None:
        """What is there runs: `restore` goes back to no earlier state."""
        self._undo.clear()

    def restore(self) -> None:
        """Back to the files that were proven last, however many writes ago. Raises `ProxyUnavailable`.

        What could not be put back is put back the next time.
        """
        for name, data in list(self._undo.items()):
            self._install(name, data)
            del self._undo[name]

    def _install(self, name: str, data: bytes | None) -> None:
        try:
            self._put(name, data)
        except OSError as error:
            raise ProxyUnavailable(f"{self.folder / name} cannot be written: {error}") from error

    def _put(self, name: str, data: bytes | None) -> None:
        target = self.folder / name
        if data is None:
            target.unlink(missing_ok=True)
            self.content.pop(name, None)
            return
        fresh = target.with_name(f".{target.name}.new")
        fresh.write_bytes(data)
        fresh.replace(target)
        self.content[name] = data


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
            f"{name} cannot pass through {closed[-1]}, where nginx's files are below; choose another --state-dir, or "
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
