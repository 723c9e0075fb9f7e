"""What a dialect is given and gives back, and what both need. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from interlock.labels.label import PREFIX
from interlock_importer.report import Kind, Note

_VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:\{|[A-Za-z_])")


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """What old labels amount to: labels of today by their whole names, and what there is to say."""

    labels: dict[str, str]
    notes: tuple[Note, ...]


class Desk:
    """Where a dialect puts the labels and notes of one service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.labels: dict[str, str] = {}
        self.notes: list[Note] = []

    def note(self, kind: Kind, key: str, value: str, reason: str, remedy: str = "") -> None:
        """Say something about an old label."""
        self.notes.append(Note(kind=kind, service=self.service, key=key, value=value, reason=reason, remedy=remedy))

    def set(self, name: str, value: str) -> None:
        """A label of today, by its short name."""
        self.labels[PREFIX + name] = value

    def mapped(self) -> Mapped:
        """All of it."""
        return Mapped(labels=dict(self.labels), notes=tuple(self.notes))


def listed(values: Iterable[str]) -> str:
    """A comma list of texts, each once, in their order."""
    return ",".join(dict.fromkeys(filter(None, values)))


def has_variable(text: str) -> bool:
    """Whether Compose puts something else in the place of a part of it; `$$` is a dollar."""
    return _VARIABLE.search(text) is not None


def only(ports: Iterable[str]) -> str:
    """The one port there is; empty where there are several, none, or one that is not told."""
    found = tuple(dict.fromkeys(ports))
    return found[0] if len(found) == 1 else ""
