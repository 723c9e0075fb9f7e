"""A user's mistake as a value: it travels with the plan and never harms a neighbour."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What is wrong with one label (or service), and what to do about it.

    `error`: the service, or the part of it that the label controls, is not routed. `warning`: it is routed.
    `key` is the whole label name, or a word such as `tasks` where no label is at fault; `value` is cut at 200
    characters.
    """

    service: str
    service_id: str
    key: str
    value: str
    reason: str
    remedy: str
    severity: Severity = "error"

    def __str__(self) -> str:
        shown = f"={self.value!r}" if self.value else ""
        return f"{self.service}: {self.key}{shown}: {self.reason}. {self.remedy}"
