"""SARIF 2.1.0, which code scanners read: a rule for each code, a result for each finding."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any
from urllib.parse import quote

import msgspec

from interlock import __version__
from interlock_lint.finding import RULES, Finding
from interlock_lint.formats.people import printable
from interlock_lint.report import Report

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_FINGERPRINT = "interlockLint/v1"


def write(report: Report) -> str:
    """One log with one run. What `--against` says beyond findings is not in it."""
    rules = sorted(RULES)
    seen: Counter[str] = Counter()
    results = []
    for finding in report.findings:
        identity = _identity(finding)
        results.append(_result(finding, rules.index(finding.code), _fingerprint(identity, seen[identity])))
        seen[identity] += 1
    driver = {
        "name": "interlock lint",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [{"id": code, "shortDescription": {"text": _sentence(RULES[code])}} for code in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": results,
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode() + "\n"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _result(finding: Finding, rule: int, fingerprint: str) -> dict[str, Any]:
    location = _location(finding.file, finding.line, finding.column)
    if finding.service:
        location["logicalLocations"] = [{"name": finding.service, "kind": "module"}]
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": printable(finding.message)},
        "locations": [location],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }


def _location(file: str, line: int, column: int = 1) -> dict[str, Any]:
    region = {"startLine": line, "startColumn": column}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(file)}, "region": region}}


def _uri(file: str) -> str:
    # A relative name with a colon in its first part would read as a scheme.
    return quote(file.replace("\\", "/"), safe="/")


def _identity(finding: Finding) -> str:
    """What makes a finding the same one after lines have moved."""
    parts = (finding.code, finding.file, finding.service, finding.key, finding.value)
    return "\n".join(parts)


def _fingerprint(identity: str, before: int) -> str:
    return hashlib.sha256(f"{identity}\n{before}".encode()).hexdigest()[:32]


def _invocation(report: Report) -> dict[str, Any]:
    said = [
        {
            "level": "error",
            "message": {"text": printable(f"{unread.reason}. {unread.remedy}")},
            "locations": [_location(unread.file, unread.line or 1)],
        }
        for unread in report.unread
    ]
    if report.bus_error:
        said.append({"level": "error", "message": {"text": printable(report.bus_error)}})
    return {"executionSuccessful": not said, "toolExecutionNotifications": said}
