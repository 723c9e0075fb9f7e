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

    def open(self) -> None:
        """Make the folders and read what is installed. Raises `ProxyUnavailable`."""
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

    def write(self, changes: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """Install changed files, each at once (None: remove it); what undoes it. Raises `ProxyUnavailable`.

        They are not synced to the disk: after the machine has failed, nginx starts with what is rendered anew.
        """
        undo: dict[str, bytes | None] = {}
        try:
            for name, data in changes.items():
                undo[name] = self.content.get(name)
                self._put(name, data)
        except OSError as error:
            raise ProxyUnavailable(f"{self.folder / name} cannot be written: {error}") from error
        return undo

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


def worker_user(folder: Path, wanted: str) -> tuple[str, str] | None:
    """The `user` directive's user and group: what is wanted, else nobody. None unless we are root and can choose.

    Workers write bodies that do not fit their buffers below `folder`. Where its parents are closed to others (a home
    of mode 0700) they could not, and only then they stay root. Raises `ConfigError` for an unknown user.
    """
    if os.geteuid() != 0:
        return None
    if not wanted:
        above = [path for path in folder.resolve().parents if path.exists()]
        wanted = "nobody" if all(path.stat().st_mode & 0o001 for path in above) else "root"
    try:
        # Named, since nginx takes a group of the user's name, which Debian's nobody does not have.
        return wanted, grp.getgrgid(pwd.getpwnam(wanted).pw_gid).gr_name
    except KeyError as error:
        raise ConfigError(f"nginx option User: there is no user {wanted!r} with a group here; name another") from error
