"""Services whose own reads fail: when to try each again, and what to say of it. Pure; the clock is an argument.

One service that cannot be read must not keep the others waiting: it is put off, the longer the more time its failure
took. Listings go on covering it meanwhile. Not thread-safe; `watch` holds the lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

SOONEST, LATEST = 1.0, 15.0
"""Seconds until the next try, at least and at most."""

_SHARE = 0.2
"""Of the reading thread's time, what a read that times out again and again may take."""


class Failing:
    """Ids of services whose last direct read failed."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, str]] = {}

    @property
    def reasons(self) -> dict[str, str]:
        """Why, by id."""
        return {id_: why for id_, (_, why) in self._failed.items()}

    def failed(self, id_: str, now: float, *, spent: float, why: str) -> float:
        """A read failed after `spent` seconds; when to try again (Unix seconds)."""
        until = now + min(max(SOONEST, spent / _SHARE), LATEST)
        self._failed[id_] = until, why
        return until

    def answered(self, id_: str) -> None:
        """A read of it succeeded, or said that it is gone."""
        self._failed.pop(id_, None)

    def put_off(self, ids: Iterable[str], now: float) -> dict[str, float]:
        """Which of these are not to be read yet, and until when."""
        waiting = {}
        for id_ in ids:
            until, _ = self._failed.get(id_, (0.0, ""))
            if until > now:
                waiting[id_] = until
        return waiting

    def forget_all_but(self, ids: Collection[str]) -> None:
        """Whatever else failed is of no interest any more: a listing has answered for it."""
        self._failed = {id_: failed for id_, failed in self._failed.items() if id_ in ids}
