"""What a running HAProxy was told since it read its files, kept beside them: the next worker goes on from it. Shell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from interlock.errors import ProxyUnavailable
from interlock_extension.haproxy.delta import Running
from interlock_extension.haproxy.render import compose

FILE = "told.json"


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """`generation`: the one for which it holds. Which backends were in the files at the start follows from the rest."""

    generation: str
    taken: dict[str, str]
    cookies: tuple[str, ...]
    leaving: tuple[tuple[str, str], ...]


class Kept:
    """The file of one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def write(self, generation: str, running: Running) -> None:
        """Before the commands are sent. Raises `ProxyUnavailable`."""
        told = _Told(
            generation=generation,
            taken=running.taken,
            cookies=tuple(sorted(running.cookies)),
            leaving=tuple(sorted(running.leaving)),
        )
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(told, enc_hook=str))
            fresh.replace(self._path)
        except OSError as error:
            raise ProxyUnavailable(f"{self._path} cannot be written: {error}") from error

    def forget(self) -> None:
        """Whoever comes next is to take nothing for what runs. Raises `ProxyUnavailable`."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise ProxyUnavailable(f"{self._path} cannot be removed: {error}") from error

    def read(self, generation: str, files: Mapping[str, bytes]) -> Running | None:
        """What runs where HAProxy tells this generation; None where that is not kept. `files`: those installed."""
        try:
            told = msgspec.json.decode(self._path.read_bytes(), type=_Told)
        except (OSError, msgspec.MsgspecError):
            return None
        if told.generation != generation:
            return None
        try:
            fresh = compose(files, generation).running
        except (KeyError, ValueError):
            # Somebody has edited a file.
            return None
        used = set(told.taken.values())
        return Running(
            configured=fresh.configured - told.taken.keys(),
            free={kind: tuple(name for name in names if name not in used) for kind, names in fresh.free.items()},
            taken=told.taken,
            cookies=frozenset(told.cookies),
            leaving=frozenset(told.leaving),
        )
