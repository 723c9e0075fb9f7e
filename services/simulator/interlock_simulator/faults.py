"""Faults on request: which of them strikes which API request. Pure; `api.middleware` obeys, `api.control` fills.

A fault is bounded by count, by time, or by its removal. Paths are regular expressions matched against the
path without its
version prefix.
"""

from __future__ import annotations

import re
from itertools import count

import msgspec

KINDS = ("reset", "refuse", "slow", "error", "slow_listing", "cut_events", "drop_events", "never_listen", "lose")


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault, as posted to `/_sim/faults`.

    kind: reset (the connection is dropped unanswered), refuse (the socket is closed for `seconds`), slow (waits `delay`
    first), error (answers `status`), slow_listing (a listing's state is taken at its start, sent `delay`
    later), cut_events
    (streams end after the next event, or at once), drop_events (events vanish silently), never_listen (tasks
    of `service`
    started from now on run and never accept), lose (answers about services and tasks know of none but `service`).
    """

    kind: str
    path: str = ".*"
    count: int | None = None
    seconds: float | None = None
    delay: float = 0.0
    status: int = 500
    service: str = ""


class FaultBook:
    """The faults in force."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._book: dict[str, tuple[Fault, float | None, int | None, re.Pattern[str]]] = {}

    def add(self, fault: Fault, now: float) -> str:
        """Puts a fault in force; gives its id. Raises ValueError for an unknown kind or a bad path expression."""
        if fault.kind not in KINDS:
            raise ValueError(f"fault kind {fault.kind!r} is unknown; use one of {', '.join(KINDS)}")
        try:
            pattern = re.compile(fault.path)
        except re.error as error:
            raise ValueError(f"fault path {fault.path!r} is not a regular expression: {error}") from error
        until = None if fault.seconds is None else now + fault.seconds
        number = f"f{next(self._numbers)}"
        self._book[number] = (fault, until, fault.count, pattern)
        return number

    def strike(self, kinds: tuple[str, ...], path: str, now: float) -> list[Fault]:
        """The faults of these kinds that hit a request for `path` now; each that is counted has one less afterwards."""
        hits = []
        for number, (fault, until, left, pattern) in list(self._book.items()):
            if until is not None and now >= until:
                del self._book[number]
            elif fault.kind in kinds and pattern.fullmatch(path):
                hits.append(fault)
                if left is not None and left <= 1:
                    del self._book[number]
                elif left is not None:
                    self._book[number] = (fault, until, left - 1, pattern)
        return hits

    def remove(self, number: str | None = None) -> None:
        """Ends one fault, or all. One that is over already is no error."""
        if number is None:
            self._book.clear()
        else:
            self._book.pop(number, None)

    def listing(self, now: float) -> list[dict[str, object]]:
        """The faults in force, for `GET /_sim/faults`."""
        return [
            {"id": number, "fault": msgspec.to_builtins(fault), "left": left}
            for number, (fault, until, left, _) in self._book.items()
            if until is None or now < until
        ]
