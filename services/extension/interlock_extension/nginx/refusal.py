"""Reading what nginx says when it refuses a configuration: pure."""

from __future__ import annotations

import re

import msgspec

_LINE = re.compile(r"\[(?P<level>emerg|crit|alert)\] (?:\d+#\d+: )?(?P<said>.*)")
_PLACE = re.compile(r" in (?P<file>/\S.*?):(?P<line>\d+)$")
_ZONE = re.compile(r' in upstream zone "(?P<zone>[^"]+)"')
_MACHINE = re.compile(r"\((?:12|23|24|28): ")
"""Memory, open files, space on the disk: at fault is the machine, whatever the configuration says."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The first complaint, with the file (as nginx wrote it), line or upstream zone that it names, None where none."""

    said: str
    file: str | None = None
    line: int | None = None
    zone: str | None = None

    @property
    def machine(self) -> str | None:
        """What to do, where not the configuration but the machine is at fault."""
        if "bind() to" in self.said:
            return "end what uses the address or choose another"
        return "give it more of that" if _MACHINE.search(self.said) else None


def read_refusal(log: str, levels: tuple[str, ...] = ("emerg",)) -> Refusal | None:
    """The refusal in a piece of nginx's log or of what `nginx -t` printed; None when nothing was refused.

    `levels`: what counts, the gravest first. A running nginx logs `crit` and `alert` about single requests too, so
    they say something about the configuration only where `nginx -t` has failed.
    """
    found = [line for line in map(_LINE.search, log.splitlines()) if line]
    for level in levels:
        for line in found:
            if line["level"] == level:
                said = line["said"].strip()
                place, zone = _PLACE.search(said), _ZONE.search(said)
                return Refusal(
                    said=said,
                    file=place["file"] if place else None,
                    line=int(place["line"]) if place else None,
                    zone=zone["zone"] if zone else None,
                )
    return None
