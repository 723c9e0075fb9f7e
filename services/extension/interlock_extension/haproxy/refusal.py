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


def complaint(text: str) -> str:
    """The first alert in what HAProxy wrote; empty where there is none."""
    found = _ALERT.search(text)
    return found["said"] if found else ""


def read_refusal(text: str) -> Refusal:
    """Of what HAProxy wrote against a configuration that it refused."""
    said = complaint(text) or text.strip()[-300:] or "without saying why"
    place = _PLACE.search(said)
    return Refusal(said=said, file=place["file"], line=int(place["line"])) if place else Refusal(said=said)


def backend_of(refusal: Refusal) -> str:
    """The backend of which it speaks; empty where it names none."""
    found = _BACKEND.search(refusal.said)
    return (found["name"] or found["of"]) if found else ""
