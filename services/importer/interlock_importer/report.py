"""What an import did, as values, and in words for people. Pure; the dialects write notes, `importing` gathers them."""

from __future__ import annotations

from typing import Literal

import msgspec

Dialect = Literal["hrm", "v1"]
Kind = Literal["mapped", "differs", "unjudged", "kept", "unmapped", "problem"]

KINDS: dict[Kind, str] = {
    "unmapped": "does not map",
    "kept": "a label is there already and says something else; it was left",
    "problem": "a label is there or was written, and is wrong or has no effect in this version",
    "unjudged": "written, and could not be checked: it holds a variable",
    "differs": "maps, and behaves a little differently",
    "mapped": "maps",
}
"""Every kind with its meaning, in the order in which people should read them."""

_OPEN: frozenset[Kind] = frozenset({"unmapped", "kept", "problem"})


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to know of one service (`service` is empty where it is of the whole file).

    `key`: the label that it is about, old or new; `value`: the part of it; `remedy` is empty where nothing is to do.
    """

    kind: Kind
    service: str
    key: str
    value: str
    reason: str
    remedy: str = ""

    @property
    def open(self) -> bool:
        """Whether somebody has to look at it."""
        return self.kind in _OPEN


class ServiceReport(msgspec.Struct, frozen=True, kw_only=True):
    """The labels (whole names) that one service's old labels amount to, and those of them that were added."""

    service: str
    labels: dict[str, str]
    added: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a stack file. `complete`: everything maps, and nothing that was written has a problem."""

    dialect: Dialect
    complete: bool
    services: tuple[ServiceReport, ...]
    notes: tuple[Note, ...]


def text(report: Report, file: str) -> str:
    """The report for people, a note a paragraph, the most urgent first."""
    added = sum(len(service.added) for service in report.services)
    lines = [f"{file}: {_count(len(report.services), 'service')} with old labels, {_count(added, 'label')} added"]
    for kind, meaning in KINDS.items():
        notes = [note for note in report.notes if note.kind == kind]
        if not notes:
            continue
        lines += ["", f"{kind} ({meaning}):"]
        for note in notes:
            shown = f"={note.value}" if note.value else ""
            lines.append(f"  {note.service or file}: {note.key}{shown}")
            lines.append(f"      {note.reason}")
            if note.remedy:
                lines.append(f"      -> {note.remedy}")
    return "\n".join(lines) + "\n"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
