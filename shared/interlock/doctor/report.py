"""Findings for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from interlock.doctor.port import Finding

_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}


def report(findings: Sequence[Finding]) -> RenderableType:
    """One row each, with what is lost and what to do below it, and how many there are of each kind."""
    table = Table.grid(padding=(0, 2))
    for column in ("severity", "subject"):
        table.add_column(column, no_wrap=True)
    table.add_column("found", overflow="fold")
    for one in findings:
        more = [Text(f"{word}: {text}", style="dim") for word, text in (("lost", one.lost), ("do", one.remedy)) if text]
        table.add_row(Text(one.severity, style=_STYLES[one.severity]), one.subject, Group(Text(one.found), *more))
    return Group(table, Text(), Text(summary(findings)))


def summary(findings: Sequence[Finding]) -> str:
    """`2 errors, 1 warning, 7 ok`."""
    count = Counter(one.severity for one in findings)
    bad = [f"{count[kind]} {kind}{'' if count[kind] == 1 else 's'}" for kind in ("error", "warning")]
    return ", ".join((*bad, f"{count['ok']} ok"))
