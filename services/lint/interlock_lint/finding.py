"""What lint says: a finding has a place, and otherwise the parts of a `Problem`. Pure values."""

from __future__ import annotations

from typing import Literal

import msgspec

from interlock.model.problem import CODES, Problem
from interlock_lint.document import Place

OF_FILES: dict[str, str] = {
    "label-misplaced": "labels are not below `deploy.labels` of a service, and nothing reads them elsewhere",
    "label-type": "the value of a label is neither text nor a number",
    "key-repeated": "a key, or a label, stands twice",
    "stack-invalid": "a part of a stack file that Docker does not take",
    "variable-unset": "a variable has no value here",
    "variable-required": "a variable that must be set is not set here",
    "variable-invalid": "a dollar sign begins no variable",
}
"""Mistakes that only a file can have."""

OF_PROXIES: dict[str, str] = {
    "label-differs": "a label that some proxy takes in its own way",
    "label-unsupported": "a label that some proxy does not know",
}
"""What is no mistake, and may still not be what somebody expects."""

Severity = Literal["error", "warning", "note"]
"""Those of a `Problem`, and notes: they are never counted against a stack."""

RULES: dict[str, str] = {**CODES, **OF_FILES, **OF_PROXIES}
"""Every code of a finding, with what it stands for."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Something to say of a stack file. The words are those of a `Problem`, `service` is a whole name.

    `line` and `column` count from 1.
    """

    file: str
    line: int
    column: int
    service: str
    code: str
    severity: Severity
    key: str
    value: str
    reason: str
    remedy: str
    concerned: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """In one sentence, without the place."""
        shown = f"={self.value!r}" if self.value else ""
        return f"{self.service}{': ' if self.service else ''}{self.key}{shown}: {self.reason}. {self.remedy}"


def finding(
    place: Place,
    code: str,
    *,
    service: str = "",
    key: str,
    value: str = "",
    reason: str,
    remedy: str,
    severity: Severity = "error",
) -> Finding:
    """A finding at a place."""
    return Finding(
        file=place.file, line=place.line, column=place.column, service=service, code=code, severity=severity,
        key=key[:200], value=value[:200], reason=reason[:400], remedy=remedy[:400],
    )  # fmt: skip


def of_problem(problem: Problem, place: Place) -> Finding:
    """The finding of a problem."""
    made = finding(
        place, problem.code, service=problem.service, key=problem.key, value=problem.value, reason=problem.reason,
        remedy=problem.remedy, severity=problem.severity,
    )  # fmt: skip
    return msgspec.structs.replace(made, concerned=problem.concerned)
