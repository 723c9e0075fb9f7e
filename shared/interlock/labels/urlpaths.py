"""One path of a URL: what is wrong with it, and which one was probably meant. Called by families, and for hosts."""

from __future__ import annotations

import re

_ALLOWED = re.compile(r"[A-Za-z0-9._~!+=:@/-]*")
_LONGEST = 512
LONGEST_PROPOSED = 150
"""Characters of what a remedy names: it must stand there whole, and problems cut their texts."""


def mistake_of(path: str) -> tuple[str, str] | None:
    """Reason and remedy of the first mistake. A path that the remedy names has none."""
    bad = sorted(set(_ALLOWED.sub("", path)))
    segments = path.removesuffix("/").split("/")[1:]
    proposal = proposed_path(path)
    meant = f"Write {proposal}" if proposal else ""
    rules = (
        (not path.startswith("/"), "does not begin with a slash", meant or "Write a path such as /app"),
        ("," in path, "holds a comma", "Write one path; a second path of the host needs a service of its own"),
        (bool(bad), f"has {', '.join(map(repr, bad))} in it", "Write a path of letters, digits and . _ ~ ! + = : @ -"),
        (len(path) > _LONGEST, f"has {len(path)} characters", f"Write a path of at most {_LONGEST}"),
        ("" in segments, "has two slashes in a row", meant or "Write one slash each time"),
        (not {".", ".."}.isdisjoint(segments), "has a segment . or ..", meant or "Write the path that clients ask for"),
    )
    return next(((reason, remedy) for broken, reason, remedy in rules if broken), None)


def proposed_path(path: str) -> str:
    """The path that was probably meant, for a remedy: what clients make of `.`, `..` and slashes in a row.

    Empty where it could not be used either, or is too long to stand in a remedy.
    """
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    meant = f"/{'/'.join(segments)}"
    return meant if len(meant) <= LONGEST_PROPOSED and _ALLOWED.fullmatch(meant) else ""
