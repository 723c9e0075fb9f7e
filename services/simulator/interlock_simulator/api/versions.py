"""The versions of the API that are spoken, and how a request names one. Pure but for aiohttp's key; used by
`middleware`."""

from __future__ import annotations

import re

from aiohttp import web

from interlock_simulator.refusal import Refused


class Spoken:
    """The oldest and the newest version that the engine speaks; another engine speaks others (`/_sim/versions`)."""

    def __init__(self, oldest: str, newest: str) -> None:
        self.oldest, self.newest = oldest, newest


VERSIONS: web.AppKey[Spoken] = web.AppKey("versions", Spoken)
_PREFIX = re.compile(r"/v([0-9]+\.[0-9]+)(/.*)")


def split(path: str) -> tuple[str | None, str]:
    """`/v1.44/tasks` → (`1.44`, `/tasks`); without a prefix (None, path)."""
    found = _PREFIX.fullmatch(path)
    return (found[1], found[2]) if found else (None, path)


def check(version: str, oldest: str, newest: str) -> None:
    """Raises Refused (400) with Docker's words for a version outside."""
    asked, low, high = (tuple(int(part) for part in text.split(".")) for text in (version, oldest, newest))
    if asked > high:
        raise Refused(400, f"client version {version} is too new. Maximum supported API version is {newest}")
    if asked < low:
        what = "please upgrade your client to a newer version"
        raise Refused(400, f"client version {version} is too old. Minimum supported API version is {oldest}, {what}")
