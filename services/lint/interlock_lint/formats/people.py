"""Text for people: a paragraph for each finding, then what deploying would do, then a count."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.model.routing import DEFAULT_HOST
from interlock_lint.dry_run import Change, Sharer
from interlock_lint.finding import Finding
from interlock_lint.report import Against, Report


def write(report: Report) -> str:
    """Without control characters: a stack file is not to write to a terminal."""
    return "".join(f"{printable(line)}\n" for line in _lines(report))


def printable(text: str) -> str:
    """What cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def change_text(change: Change) -> str:
    """A change in a line."""
    where = host_title(change.host) + change.path
    if change.kind != "changed":
        return f"{where} {change.kind}"
    return f"{where}: {change.setting} {change.before} becomes {change.after}"


def sharer_text(sharer: Sharer) -> str:
    """Who else claims a host, and whose settings count."""
    age = "older" if sharer.other_older else "younger"
    said = f"{host_title(sharer.host)}: {sharer.service} shares it with the {age} {sharer.other}"
    if sharer.path != sharer.other_path:
        return f"{said}, which has {sharer.other_path} where {sharer.service} has {sharer.path}"
    counts = sharer.other if sharer.other_older else sharer.service
    return f"{said} on {sharer.path}: requests go to the tasks of both, the settings of {counts} count"


def host_title(host: str) -> str:
    """How people read a host."""
    return "(any other host)" if host == DEFAULT_HOST else host


def cluster_title(cluster: str) -> str:
    """How people read a service cluster."""
    return cluster or "the unnamed service cluster"


def _lines(report: Report) -> Iterator[str]:
    for unread in report.unread:
        yield f"{unread.file}:{unread.line or 1}: unread: {unread.reason}"
        yield f"    {unread.remedy}"
    for finding in report.findings:
        yield from _finding(finding)
    if report.against is not None:
        yield from _against(report.against)
    if report.bus_error:
        yield f"bus: {report.bus_error}"
        yield "    What is said above is by the files alone"
    yield _count(report)


def _finding(finding: Finding) -> Iterator[str]:
    service = f" {finding.service}:" if finding.service else ""
    shown = f"={finding.value!r}" if finding.value else ""
    yield f"{finding.file}:{finding.line}:{finding.column}: {finding.severity}:{service} {finding.key}{shown}"
    yield f"    {finding.reason} [{finding.code}]"
    yield f"    {finding.remedy}"


def _against(against: Against) -> Iterator[str]:
    yield f"Deployed to the region {against.region} ({against.bus}):"
    for doubt in against.doubts:
        yield f"  not sure: {doubt}"
    clusters = sorted({change.cluster for change in against.changes})
    for cluster in clusters:
        yield f"  {cluster_title(cluster)}:"
        yield from (f"    {change_text(change)}" for change in against.changes if change.cluster == cluster)
    if not clusters:
        yield "  hosts, routes and their settings stay as they are"
    yield from (f"  {sharer_text(sharer)}" for sharer in against.sharers)
    yield from (f"  others are told: {problem}" for problem in against.neighbours)


def _count(report: Report) -> str:
    counts = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in (
            (report.count("error"), "error"),
            (report.count("warning"), "warning"),
            (report.services, "labelled service"),
            (len(report.files), "file"),
        )
    ]
    notes = report.count("note")
    told = f", {notes} note{'' if notes == 1 else 's'}" if notes else ""
    unread = f", {len(report.unread)} of them unread" if report.unread else ""
    return f"{counts[0]}, {counts[1]}{told} in {counts[2]} of {counts[3]}{unread}"
