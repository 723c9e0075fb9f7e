"""JSON: the values of the report as they are; fields are only added."""

from __future__ import annotations

import msgspec

from interlock_lint.report import Report


def write(report: Report) -> str:
    """One object."""
    data = {"ok": report.exit_status(strict=False) == 0, **msgspec.structs.asdict(report)}
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"
