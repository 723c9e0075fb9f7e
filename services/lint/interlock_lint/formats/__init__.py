"""One report, written for people, for programs, for GitHub's workflows and as SARIF. Each a pure function to text."""

from __future__ import annotations

from collections.abc import Callable

from interlock_lint.formats import github, people, program, sarif
from interlock_lint.report import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    "text": people.write,
    "json": program.write,
    "github": github.write,
    "sarif": sarif.write,
}
"""By the name that the command line has for it."""
