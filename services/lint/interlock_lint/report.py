"""All that one run of lint has to say, as a value: what every output format is made of. Pure."""

from __future__ import annotations

import msgspec

from interlock.model.problem import Problem
from interlock_lint.document import Unread
from interlock_lint.dry_run import Attachment, Change, Sharer
from interlock_lint.finding import Finding


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What deploying would do, by what is on the bus. `bus`: its URL without a password."""

    bus: str
    region: str
    changes: tuple[Change, ...] = ()
    sharers: tuple[Sharer, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    neighbours: tuple[Problem, ...] = ()
    doubts: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`services`: how many have labels of ours. `against`: None where no bus was to be asked, or it could not be;
    `bus_error` then says why."""

    files: tuple[str, ...]
    services: int = 0
    findings: tuple[Finding, ...] = ()
    unread: tuple[Unread, ...] = ()
    against: Against | None = None
    bus_error: str = ""

    def count(self, severity: str) -> int:
        """Findings of this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def exit_status(self, *, strict: bool) -> int:
        """0: nothing to correct. 1: errors; with `strict`, warnings too; never for notes. 2: something was not read."""
        if self.unread or self.bus_error:
            return 2
        return 1 if self.count("error") or (strict and self.count("warning")) else 0
