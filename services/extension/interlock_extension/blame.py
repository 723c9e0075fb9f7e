"""Who is at fault when the proxy refuses a draft, and how long that is believed. No I/O but for asking the proxy.

Exact is what the proxy said of a host's own file: it holds until the file would be another. All else is a guess, and
innocent hosts may be among the guessed: it holds for `GUESS`, twice as long each time that it is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2s

import msgspec

from interlock.errors import ConfigRejected, ProxyUnavailable

GUESS = 30.0
"""Seconds for which a host is held back by a first guess."""

LONGEST_GUESS = 960.0

_MOST_REMEMBERED = 16


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """Why a host's file is taken for refused. `exact`: whether the proxy named that file, or it is only a guess."""

    reason: str
    exact: bool


class Refusals:
    """What the proxy refused of each host, by the file's content. Times are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[bytes, Blame]] = {}
        self._guessed: dict[str, dict[bytes, Blame]] = {}
        self._until: dict[str, float] = {}
        self._period: dict[str, float] = {}

    def of(self, host: str, data: bytes) -> Blame | None:
        """Why this content is not to be tried; None where it may be."""
        digest = _digest(data)
        return self._exact.get(host, {}).get(digest) or self._guessed.get(host, {}).get(digest)

    def remember(self, host: str, data: bytes, blame: Blame, now: float) -> bool:
        """This content is not to be tried again, or not for a while; False where that was known."""
        new = self.of(host, data) is None
        known = (self._exact if blame.exact else self._guessed).setdefault(host, {})
        known[_digest(data)] = blame
        if len(known) > _MOST_REMEMBERED:
            del known[next(iter(known))]
        if not blame.exact and host not in self._until:
            self._period[host] = min(2 * self._period.get(host, GUESS / 2), LONGEST_GUESS)
            self._until[host] = now + self._period[host]
        return new

    def expired(self, now: float) -> set[str]:
        """The hosts whose guesses are believed no longer, once; these are forgotten."""
        found = {host for host, until in self._until.items() if until <= now}
        for host in found:
            del self._until[host]
            self._guessed.pop(host, None)
        return found

    def acquit(self, host: str) -> None:
        """The proxy took what is wanted: whoever was guessed, it was not this host."""
        for guesses in (self._guessed, self._until, self._period):
            guesses.pop(host, None)

    def forget(self, host: str) -> None:
        """It is nobody's any more."""
        self.acquit(host)
        self._exact.pop(host, None)


def culprits(
    suspects: Mapping[str, bytes],
    file_of: Callable[[str], str],
    error: ConfigRejected,
    check: Callable[[Mapping[str, bytes]], None],
    go_on: Callable[[], bool] = lambda: True,
) -> dict[str, Blame]:
    """The hosts at fault and why: who the proxy named, now or aside; else, as a guess, all that may be.

    `suspects`: what each host would have been; `check`: `Control.check`; `go_on`: whether there is time for another
    one. Nobody, where none of them is at fault, or the proxy cannot be asked.
    """
    hosts = {file_of(host): host for host in suspects}
    if error.culprit in hosts:
        return {hosts[error.culprit]: Blame(reason=str(error), exact=True)}
    try:
        # What is refused without any of them is the fault of none, such as a file that raw lines include.
        check({})
    except (ConfigRejected, ProxyUnavailable):
        return {}
    named: dict[str, Blame] = {}
    guessed: dict[str, Blame] = {}
    groups = [list(suspects)]
    while groups and go_on():
        group = groups.pop()
        if not group:
            continue
        try:
            check({host: suspects[host] for host in group})
        except ConfigRejected as refusal:
            host = hosts.get(refusal.culprit or "")
            if host in group:
                named[host] = Blame(reason=str(refusal), exact=True)
                groups.append([other for other in group if other != host])
            elif len(group) == 1:
                guessed[group[0]] = Blame(reason=str(refusal), exact=False)
            else:
                groups += (group[: len(group) // 2], group[len(group) // 2 :])
        except ProxyUnavailable:
            # The next attempt will tell.
            return named
    # Where there was no time, whoever was not looked at may be at fault.
    left = {host: Blame(reason=str(error), exact=False) for group in groups or [list(suspects)] for host in group}
    return named or guessed or left


def _digest(data: bytes) -> bytes:
    return blake2s(data, digest_size=16).digest()
