"""The family of passive checks: when a task that fails gets no more requests for a while."""

from __future__ import annotations

import re

from interlock.labels.label import PREFIX, Label, Parsed, refused

_COUNT = re.compile(r"[0-9]{1,6}")
# Only the last part may lack its unit: a run of digits then has one reading, and a wrong text is refused in one pass.
_TIME = re.compile(r"(?:[0-9]{1,6}[yMwdhms] ?)*[0-9]{1,6}[yMwdhms]?")
_LONGEST_TEXT = 64
_PART = re.compile(r"([0-9]+)([yMwdhms]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}
_LONGEST = 31_536_000


def parse_count(text: str) -> Parsed[int | None]:
    """0 to 999999."""
    word = text.strip()
    if not _COUNT.fullmatch(word):
        remedy = "Write a number from 0 to 999999, such as 3; 0 turns the checks off"
        return refused("count-invalid", text, "is no such number", remedy)
    return Parsed(value=int(word))


def parse_time(text: str) -> Parsed[int | None]:
    """Seconds, from nginx's times: `30s`, `1m 30s`, `10`."""
    word = text.strip()
    remedy = "Write a time in whole seconds or more, such as 30s, 2m or 1h"
    if len(word) > _LONGEST_TEXT or not _TIME.fullmatch(word):
        return refused("time-invalid", text, "is not a time", remedy)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(word))
    if not 1 <= seconds <= _LONGEST:
        return refused("time-invalid", text, "is not within a second to a year", remedy)
    return Parsed(value=seconds)


MAX_FAILS: Label[int | None] = Label(
    name=f"{PREFIX}max_fails",
    syntax="a number from 0 to 999999; 0 for no such checks",
    doc="After so many failed attempts within `fail_timeout`, a task gets no requests for as long. An attempt fails "
    "when the task does not answer, or with 500, 502, 503 or 504. A task that is the only one is never "
    "left out.",
    example="3",
    default=None,
    default_words="nginx: 1; HAProxy: no such checks",
    parse=parse_count,
    field="max_fails",
    differs={
        "haproxy": "counts, in a row, only connections that are not accepted; an idempotent request that fails "
        "otherwise it asks up to three times more, of another task where there is one, and the task that failed gets "
        "requests as before"
    },
    alike=(0,),
)
FAIL_TIMEOUT: Label[int | None] = Label(
    name=f"{PREFIX}fail_timeout",
    syntax="a time, such as `30s` or `2m`",
    doc="The time in which failed attempts are counted, and for which a task that had too many gets no requests.",
    example="30s",
    default=None,
    default_words="10s",
    parse=parse_time,
    field="fail_timeout",
    differs={
        "haproxy": "counts failures in a row, whatever time lies between them; it asks a task that had too many by a "
        "connection each time that this time is over, and sends it requests when one is accepted"
    },
)

LABELS = (MAX_FAILS, FAIL_TIMEOUT)
