"""What is made of the installed files for HAProxy to read: maps, and all host files in one. Shell."""

from __future__ import annotations

from interlock.errors import ProxyUnavailable
from interlock.runtime.logging import get_logger
from interlock_extension.haproxy.delta import STATE, VERSION, Running
from interlock_extension.haproxy.render import compose
from interlock_extension.haproxy.routes import FOLDER
from interlock_extension.machine.place import Place


class Made:
    """Of the files of one place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._log = get_logger(service="extension", proxy="haproxy")

    def write(self, generation: str, note: str) -> Running:
        """Write it; what runs when HAProxy has read it, and then says this generation. Raises `ProxyUnavailable`."""
        composed = compose(self._place.content, f"{generation} {note}")
        self._place.write_aside(composed.files)
        return composed.running

    def write_or_find(self, generation: str, note: str) -> tuple[str, Running]:
        """`write`; where nothing can be written, the generation that lies there, if all else would be the same.

        Raises `ProxyUnavailable`.
        """
        try:
            return generation, self.write(generation, note)
        except ProxyUnavailable as error:
            found = self._there()
            if found is None:
                raise
            self._log.error("nothing can be written: HAProxy is started from the files that are there", why=str(error))
            return found

    def _there(self) -> tuple[str, Running] | None:
        try:
            state = (self._place.folder / FOLDER / STATE).read_text()
            generation, _, note = state.removeprefix(f"{VERSION} ").rstrip("\n").partition(" ")
            composed = compose(self._place.content, f"{generation} {note}")
            there = {name: (self._place.folder / name).read_bytes() for name in composed.files}
        except (OSError, ValueError):
            return None
        return (generation, composed.running) if generation and there == composed.files else None
