"""A config.toml as reviewed, for people and for programs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from interlock.config.document import SECTIONS, Document, Entry, Finding
from interlock.config.key import Effect
from interlock.config.reference import EFFECTS

_STYLES: dict[Effect, str] = {"now": "green", "later": "yellow", "none": "dim"}

_WORDS: dict[Effect, str] = {"now": "effective now", "later": "in a later version", "none": "without known effect"}


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One key that the file has. Its value is left out: it may be a secret."""

    line: int | None
    key: str
    effect: Effect
    doc: str


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: 0 where there is nothing to say, 1 with warnings, 2 where no service starts with the file."""

    file: str
    status: int
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    keys: tuple[Use, ...]


def review(document: Document) -> Review:
    """What there is to say about a document."""
    errors = tuple(found for found in document.findings if found.severity == "error")
    warnings = tuple(found for found in document.findings if found.severity == "warning")
    tables = (document.entries, *(table for one in document.extensions for table in (one.entries, one.config)))
    entries = sorted((entry for table in tables for entry in table.values()), key=_order)
    keys = tuple(Use(line=e.line, key=e.path, effect=e.effect, doc=e.doc) for e in entries if e.effect is not None)
    status = 2 if errors else 1 if warnings else 0
    return Review(file=document.where, status=status, errors=errors, warnings=warnings, keys=keys)


def _order(entry: Entry) -> tuple[int, str]:
    return entry.line or 0, entry.path


def review_table(found: Review) -> RenderableType:
    """Errors and warnings, then every key with when it takes effect."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one, style in (*((f, "red") for f in found.errors), *((f, "yellow") for f in found.warnings)):
        table.add_row(_line(one.line), Text(one.severity, style=style), one.message)
    if found.errors or found.warnings:
        table.add_row("", "", "")
    for use in found.keys:
        table.add_row(_line(use.line), Text(EFFECTS[use.effect], style=_STYLES[use.effect]), f"{use.key}: {use.doc}")
    return Group(table, Text(), Text(summary(found)))


def _line(line: int | None) -> str:
    return str(line) if line else ""


def summary(found: Review) -> str:
    """How many of each, and what that means."""
    count = Counter(use.effect for use in found.keys)
    parts = [
        _number(len(found.errors), "error"),
        _number(len(found.warnings), "warning"),
        *(f"{_number(count[effect], 'key')} {word}" for effect, word in _WORDS.items()),
    ]
    verdict = ("it is fine", "it starts; see the warnings", "no service starts with it")[found.status]
    return f"{found.file}: {verdict}. {'; '.join(parts)}."


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def keys_table() -> RenderableType:
    """Every key with what it holds, its default and when it takes effect."""
    tables: list[RenderableType] = []
    for section in SECTIONS:
        table = Table(title=section.title or "Core", title_justify="left", box=None, padding=(0, 1))
        for column in ("key", "holds", "default", "takes effect"):
            table.add_column(column, no_wrap=True)
        table.add_column("", overflow="fold")
        for key in section.keys:
            name = f"{key.name} (ours)" if key.ours else key.name
            effect = Text(EFFECTS[key.effect], style=_STYLES[key.effect])
            table.add_row(
                name, key.kind.name.replace("`", ""), Text(key.default), effect, Text(key.doc.replace("`", ""))
            )
        tables += [table, Text()]
    return Group(*tables)


def keys_json() -> Sequence[dict[str, object]]:
    """The same for programs."""
    return [
        {"table": section.title, "key": key.name, "holds": key.kind.name, "default": key.default,
         "effect": key.effect, "doc": key.doc, "ours": key.ours}
        for section in SECTIONS
        for key in section.keys
    ]  # fmt: skip
