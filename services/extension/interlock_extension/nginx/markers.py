"""Which generations of nginx's workers there may be, and which of them must hand their requests over. Shell.

`generations/<id>` is made before a generation can run and is its workers' working directory. A file in it is renamed
from `current` to `outdated`, which they look for, when another generation has taken over. So a worker that dies in
between leaves none behind that its successor does not know of, and a full disk cannot keep one from being outdated.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from interlock.errors import ProxyUnavailable
from interlock_extension.nginx.render import OUTDATED

ANNOUNCED = "generations"
CURRENT = "current"


class Markers:
    """The folder of generations. It exists once `Place.open` was called."""

    def __init__(self, folder: Path) -> None:
        self._announced = folder / ANNOUNCED
        self._may_run: set[str] = set()
        self._leaving: set[str] = set()

    def announce(self, generation: str) -> Path:
        """Before a generation may run; the directory that its workers work in. Raises `ProxyUnavailable`."""
        place = self._announced / generation
        try:
            place.mkdir(mode=0o711, exist_ok=True)
            place.chmod(0o711)
            if not (place / OUTDATED).exists():
                (place / CURRENT).touch()
        except OSError as error:
            raise ProxyUnavailable(f"{place} cannot be written: {error}") from error
        self._may_run.add(generation)
        return place

    def withdraw(self, generation: str) -> None:
        """It was refused and has never run."""
        self._may_run.discard(generation)
        self._leaving.discard(generation)
        shutil.rmtree(self._announced / generation, ignore_errors=True)

    def outdate_others(self, generation: str) -> str | None:
        """All but this one hand their requests over from now on; where that cannot be told them, why."""
        wrong = None
        try:
            self._may_run |= {path.name for path in self._announced.iterdir()}
        except OSError as error:
            wrong = str(error)
        self._leaving |= self._may_run - {generation}
        for name in sorted(self._leaving):
            try:
                (self._announced / name / CURRENT).rename(self._announced / name / OUTDATED)
            except OSError as error:
                if not (self._announced / name / OUTDATED).exists():
                    wrong = str(error)
        return wrong

    def clear(self, keep: Collection[str]) -> None:
        """No outdated generation runs any more but these."""
        for name in self._leaving - set(keep):
            self.withdraw(name)

    def clear_all(self) -> None:
        """No generation runs at all."""
        for name in {*self._may_run, *(path.name for path in self._announced.glob("*"))}:
            self.withdraw(name)
