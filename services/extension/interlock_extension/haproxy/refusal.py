"""Reading what HAProxy says when it refuses a configuration: pure."""

from __future__ import annotations

import re

import msgspec

_ALERT = re.compile(r"^\[ALERT\]\s+(?:\(\d+\)|\S+) : (?:config : )?(?P<said>.*)$", re.MULTILINE)
_PLACE = re.compile(r"\[(?P<file>[^\]:]+):(?P<line>\d+)\]")
_BACKEND = re.compile(r"(?:proxy|backend) '(?P<name>[^'/]+)'|'server (?P<of>[^'/]+)/")


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """`said`: HAProxy's first complaint; `file` and `line`: what it names, as on its command line; empty where none."""

    said: str
    file: str = ""
    line: int = 0


def read_refusal(text: str) -> Refusal:
    """The first complaint in what HAProxy wrote."""
    found = _ALERT.search(text)
    if found is None:
        return Refusal(said=text.strip()[-300:] or "without saying why")
    place = _PLACE.search(found["said"])
    if place is None:
        return Refusal(said=found["said"])
    return Refusal(said=found["said"], file=place["file"], line=int(place["line"]))


def backend_of(refusal: Refusal) -> str:
    """The backend of which it speaks; empty where it names none."""
    found = _BACKEND.search(refusal.said)
    return (found["name"] or found["of"]) if found else ""
