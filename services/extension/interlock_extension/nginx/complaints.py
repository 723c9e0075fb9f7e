"""Finding out why nginx refuses: its log of refusals, `nginx -t`, and which file is at fault. Shell; for `control`."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import NoReturn

from interlock.errors import ConfigRejected, ProxyUnavailable
from interlock.runtime.parts import Part
from interlock_extension.nginx.refusal import Refusal, read_refusal
from interlock_extension.nginx.render import MAIN, REFUSALS

_CHECK_TIMEOUT = 60.0
_LARGEST_LOG = 1 << 20
"""Bytes."""


class Complaints:
    """What the nginx of one folder says."""

    def __init__(self, part: Part, folder: Path) -> None:
        self._part = part
        self._folder = folder

    def mark(self) -> int:
        """The present end of the log, for `since`. One that has grown large begins anew; nginx only ever appends."""
        size = self._size()
        if size > _LARGEST_LOG:
            # One that cannot be emptied is read on from its end.
            with contextlib.suppress(OSError):
                os.truncate(self._folder / REFUSALS, 0)
            size = self._size()
        return size

    def _size(self) -> int:
        try:
            return (self._folder / REFUSALS).stat().st_size
        except FileNotFoundError:
            return 0

    def since(self, mark: int) -> Refusal | None:
        """The first refusal after the mark."""
        if self._size() <= mark:
            return None
        with (self._folder / REFUSALS).open("rb") as log:
            log.seek(mark)
            return read_refusal(log.read().decode(errors="replace"))

    def explain_start(self, mark: int) -> NoReturn:
        """Why nginx ended right after its start. Raises `ConfigRejected` or `ProxyUnavailable`."""
        # What is wrong with the files it says before it has opened its logs, what is wrong with the machine after.
        refusal = self.since(mark) or self.test()
        if refusal is None:
            raise ProxyUnavailable("nginx ended right after its start; see its error log")
        self.reject(refusal)

    def test(self, folder: Path | None = None) -> Refusal | None:
        """What `nginx -t` says against a folder, its own by default; None when it takes it.

        Raises `ProxyUnavailable` when it cannot be asked.
        """
        folder = folder or self._folder
        command = [str(self._part.path), "-t", "-q", "-p", str(folder), "-c", MAIN]
        try:
            said = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace",
                timeout=_CHECK_TIMEOUT, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise ProxyUnavailable(f"{self._part.path} cannot check a configuration: {error}") from error
        if said.returncode == 0:
            return None
        found = read_refusal(said.stderr, ("emerg", "crit", "alert"))
        return found or Refusal(said=said.stderr.strip() or "without saying why")

    def reject(self, refusal: Refusal, folder: Path | None = None) -> NoReturn:
        """Raises `ConfigRejected` with the file as culprit, or `ProxyUnavailable` where the machine is at fault."""
        if refusal.machine:
            wrong = "cannot listen" if "bind() to" in refusal.said else "lacks what it needs of this machine"
            raise ProxyUnavailable(f"nginx {wrong}: {refusal.said}; {refusal.machine}")
        culprit = self._culprit(refusal, folder or self._folder)
        raise ConfigRejected(f"nginx refused: {refusal.said}", culprit=culprit)

    def _culprit(self, refusal: Refusal, folder: Path) -> str | None:
        if refusal.file and refusal.file.startswith(f"{folder}/"):
            return refusal.file[len(str(folder)) + 1 :]
        for path in folder.glob("hosts/*.conf") if refusal.zone else ():
            with contextlib.suppress(OSError):
                if f"    zone {refusal.zone} ".encode() in path.read_bytes():
                    return str(path.relative_to(folder))
        return None
