"""Which generations of nginx's workers there may be, and which of them must hand their requests over. Shell.

`generations/<id>` is made before a generation can run, and renamed to `outdated/<id>`, which its workers look for, when
another has taken over. So a worker that dies in between leaves none behind that its successor does not know of, and a
full disk cannot keep a generation from being outdated.
"""

from __future__ import annotations

from pathlib import Path

from interlock.errors import ProxyUnavailable

ANNOUNCED, OUTDATED = "generations", "outdated"


class Markers:
    """The two folders. They exist once `Place.open` was called."""

    def __init__(self, folder: Path) -> None:
        self._announced = folder / ANNOUNCED
        self._outdated = folder / OUTDATED

    def announce(self, generation: str) -> Path:
        """Before a generation may run; the path whose existence will outdate it. Raises `ProxyUnavailable`."""
        try:
            (self._announced / generation).touch()
        except OSError as error:
            raise ProxyUnavailable(f"{self._announced / generation} cannot be written: {error}") from error
        return self._outdated / generation

    def withdraw(self, generation: str) -> None:
        """It was refused and has never run."""
        (self._announced / generation).unlink(missing_ok=True)

    def outdate_others(self, generation: str) -> str | None:
        """All but this one hand their requests over from now on; where that cannot be told them, why."""
        try:
            for path in self._announced.iterdir():
                if path.name != generation:
                    path.rename(self._outdated / path.name)
        except OSError as error:
            return str(error)
        return None

    def clear(self) -> None:
        """No outdated generation runs any more."""
        for path in self._outdated.iterdir():
            path.unlink(missing_ok=True)

    def clear_all(self) -> None:
        """No generation runs at all."""
        self.clear()
        for path in self._announced.iterdir():
            path.unlink(missing_ok=True)
