"""Workflow commands of GitHub Actions: an annotation at the line of each finding."""

from __future__ import annotations

from collections.abc import Iterator

from interlock_lint.formats.people import change_text, cluster_title, sharer_text
from interlock_lint.report import Report


def write(report: Report) -> str:
    """One command a line."""
    return "".join(f"{line}\n" for line in _commands(report))


def _commands(report: Report) -> Iterator[str]:
    for unread in report.unread:
        message = f"{unread.reason}. {unread.remedy}"
        yield command("error", message, file=unread.file, line=unread.line or 1, title="interlock lint: unread")
    for finding in report.findings:
        title = f"interlock lint: {finding.code}"
        yield command(
            "notice" if finding.severity == "note" else finding.severity,
            finding.message,
            file=finding.file,
            line=finding.line,
            col=finding.column,
            title=title,
        )
    if report.bus_error:
        yield command("error", report.bus_error, title="interlock lint: bus")
    if report.against is None:
        return
    for change in report.against.changes:
        yield command("notice", f"{cluster_title(change.cluster)}: {change_text(change)}", title="interlock: change")
    for sharer in report.against.sharers:
        yield command("notice", sharer_text(sharer), title="interlock: shared host")
    for problem in report.against.neighbours:
        yield command("warning", str(problem), title="interlock: another service is told")
    for doubt in report.against.doubts:
        yield command("notice", doubt, title="interlock: not sure")


def command(name: str, message: str, **properties: str | int) -> str:
    """One workflow command. Escaped as the runner unescapes: a value's own lines and colons begin no command."""
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
