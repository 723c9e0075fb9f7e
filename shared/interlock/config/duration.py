"""Durations as Interlock's users write them: Go's `300ms`, `3s`, `1m30s`. Pure."""

from __future__ import annotations

import re

from interlock.errors import ConfigError

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 10 * 365 * 86_400.0
"""Seconds; far beyond it, no clock of the machine can wait."""
_REMEDY = "write a duration with its unit, such as 500ms, 3s or 1m30s"


def parse_duration(text: str) -> float:
    """Seconds. Raises ConfigError for anything that Go's time.ParseDuration refuses, and for negative durations."""
    body = text.strip()
    if body == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(body):
        part = _PART.match(body, at)
        if part is None:
            raise ConfigError(f"{text!r} is not a duration; {_REMEDY}")
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not body:
        raise ConfigError(f"an empty duration; {_REMEDY}")
    if total > _LONGEST:
        raise ConfigError(f"{text[:40]!r} is longer than ten years; {_REMEDY}")
    return total
