"""The folder of one proxy: atomic writes, and what is installed. Shell."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock.errors import ProxyUnavailable
from interlock.runtime.logging import get_logger

_MODE = 0o711


class Place:
    """The files of a proxy. Names are relative to `folder`; content is kept in memory, so that nothing is read twice.

    `folders`: those that there must be below it. `kept`: patterns of the files that are installed; others are not ours.
    """

    def __init__(self, folder: Path, *, folders: Sequence[str], kept: Sequence[str]) -> None:
        self.folder = folder.resolve()
        self._folders, self._kept = folders, kept
        self.content: dict[str, bytes] = {}
        self._undo: dict[str, bytes | None] = {}
        self._log = get_logger(service="extension")

    def open(self) -> None:
        """Make the folders and read what is installed. Raises `ProxyUnavailable`."""
        self._undo.clear()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in ("", *self._folders):
                self._make(name)
            self.content = {
                str(path.relative_to(self.folder)): path.read_bytes()
                for pattern in self._kept
                for path in self.folder.glob(pattern)
            }
        except OSError as error:
            raise ProxyUnavailable(f"the folder {self.folder} cannot be used: {error}; choose another") from error

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Install changed files, each at once (None: remove it). Raises `ProxyUnavailable`.

        What is there with the same bytes is left alone. Folders that somebody has removed are made again, with what
        belongs there. What goes, goes last: where writing fails, it has not gone for nothing.

        They are not synced to the disk: after the machine has failed, the proxy starts with what is rendered anew.
        """
        self._heal()
        for name, data in sorted(changes.items(), key=lambda change: change[1] is None):
            self._undo.setdefault(name, self.content.get(name))
            self._install(name, data)

    def write_aside(self, files: Mapping[str, bytes]) -> None:
        """Files that are made of the others, and count as not installed. Raises `ProxyUnavailable`."""
        self._heal()
        for name, data in files.items():
            try:
                self._replace(name, data)
            except OSError as error:
                raise ProxyUnavailable(f"{self.folder / name} cannot be written: {error}") from error

    def proven(self) -> None:
        """What is there runs: `restore` goes back to no earlier state."""
        self._undo.clear()

    def restore(self) -> None:
        """Back to the files that were proven last, however many writes ago. Raises `ProxyUnavailable`.

        What could not be put back is put back the next time.
        """
        # What was written first comes last: until then, the folder does not look like what runs.
        for name, data in reversed(list(self._undo.items())):
            self._install(name, data)
            del self._undo[name]

    def _heal(self) -> None:
        try:
            for folder in self._folders:
                if not self._make(folder):
                    continue
                self._log.error("a folder of the proxy was gone and is made again", folder=str(self.folder / folder))
                for name, data in self.content.items():
                    if data and name.startswith(f"{folder}/"):
                        self._replace(name, data)
        except OSError as error:
            raise ProxyUnavailable(f"a folder of {self.folder} is gone and cannot be made: {error}") from error

    def _make(self, folder: str) -> bool:
        """A folder with its mode; whether it was not there."""
        path = self.folder / folder
        fresh = not path.is_dir()
        if fresh:
            # Not with the one above: nobody who runs in that would see another in its place.
            path.mkdir()
        # A proxy's workers run as another user and pass through here; they own only what they write.
        if os.geteuid() == 0 and stat.S_IMODE(path.stat().st_mode) != _MODE:
            path.chmod(_MODE)
        return fresh

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
        self._replace(name, data)
        self.content[name] = data

    def _replace(self, name: str, data: bytes) -> None:
        target = self.folder / name
        with contextlib.suppress(OSError):
            # A proxy comes back from what is there although nothing can be written.
            if target.read_bytes() == data:
                return
        fresh = target.with_name(f".{target.name}.new")
        try:
            fresh.write_bytes(data)
            fresh.replace(target)
        except OSError:
            # On a full disk, what it took may be what another needs.
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise
