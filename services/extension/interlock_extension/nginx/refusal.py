"""Reading what nginx says when it refuses a configuration: pure."""

from __future__ import annotations

import re

import msgspec

_LINE = re.compile(r"\[emerg\] (?:\d+#\d+: )?(?P<said>.*)")
_PLACE = re.compile(r" in (?P<file>/\S.*?):(?P<line>\d+)$")


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The first complaint, and the file that it names (as nginx wrote it), None where it names none."""

    said: str
    file: str | None = None


def read_refusal(log: str) -> Refusal | None:
    """The refusal in a piece of nginx's log or of what `nginx -t` printed; None when nothing was refused."""
    for line in log.splitlines():
        found = _LINE.search(line)
        if found:
            said = found["said"].strip()
            place = _PLACE.search(said)
            return Refusal(said=said, file=place["file"] if place else None)
    return None
