"""Whether a listing may be believed at once: pure; the clock is an argument. Asked by `view` before it withdraws.

What Docker *says* is acted on at once: a service that an event removes, a task that is to stop. What is merely
*missing* is doubted where too much of it is missing at the same time, as with a manager whose store is not there yet,
or with something in between that answers with an empty list. Then nothing is withdrawn until a second reading, begun
AGAIN after the first had ended, on a connection of its own, lacks the same.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

LEAST = 3
"""Losses at once that may be implausible. One or two go by an ordinary command; a direct 404 is asked for anyway."""

AGAIN = 0.5
"""Seconds from the end of a doubted reading until one that may confirm it. What a real loss waits longer by."""

_SWARM = ""
"""Stands for the whole Swarm among the ids."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing lacks. Services that an event said are removed count nowhere here.

    `missing`: ids of services that it lacks, of `known` services. `taskless`: ids of services that served and of which
    it lists no task at all, though they are not scaled to zero. `silenced`: how many of the `served` services that
    served are lost in either way. `strange`: it lists none of the nodes that were known, as another Swarm does.
    """

    missing: frozenset[str] = frozenset()
    known: int = 0
    taskless: frozenset[str] = frozenset()
    silenced: int = 0
    served: int = 0
    strange: bool = False

    @property
    def why(self) -> str:
        """Why one reading is not enough; empty where it is."""
        said = []
        if self.strange:
            said.append("none of the known nodes is listed: another Swarm answers")
        if _most(len(self.missing), self.known):
            said.append(f"{len(self.missing)} of {self.known} services are missing at once")
        if _most(self.silenced, self.served):
            said.append(
                f"{self.silenced} of {self.served} services that served are missing or without any task at once"
            )
        return "; ".join(said)


class Verdict(NamedTuple):
    """What to make of a listing. `held`: ids whose loss is not believed yet; `whole`: nothing of it is.

    `news`: a doubt was raised, a second reading confirmed one, or refuted it.
    """

    held: frozenset[str] = frozenset()
    whole: bool = False
    news: Literal["", "raised", "confirmed", "refuted"] = ""


class Doubts:
    """What single readings said that no second one has confirmed yet.

    `since`: since when something is held back, None where nothing is; `reason` says what.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self.reason = ""
        self._first: dict[str, float] = {}

    def judge(self, loss: Loss, *, began: float, ended: float) -> Verdict:
        """Of a complete listing, read from `began` to `ended` (seconds of a steady clock)."""
        doubted, why = self.since is not None, loss.why
        if not why:
            self._hold({}, ended, "")
            return Verdict(news="refuted" if doubted else "")
        lost = loss.missing | loss.taskless | ({_SWARM} if loss.strange else frozenset())
        confirmed = {id_ for id_ in lost & self._first.keys() if began >= self._first[id_] + AGAIN}
        self._hold({id_: self._first.get(id_, ended) for id_ in lost - confirmed}, ended, why)
        held = frozenset(self._first)
        news: Literal["confirmed", "raised", ""] = "confirmed" if confirmed else "" if doubted else "raised"
        return Verdict(held=held - {_SWARM}, whole=_SWARM in held, news=news)

    @property
    def again_at(self) -> float | None:
        """When the reading that may confirm the oldest doubt is to begin; None where nothing is doubted."""
        return min(self._first.values()) + AGAIN if self._first else None

    def _hold(self, first: dict[str, float], now: float, why: str) -> None:
        self._first = first
        if not first:
            self.since, self.reason = None, ""
        else:
            self.since, self.reason = now if self.since is None else self.since, why


def _most(lost: int, of: int) -> bool:
    return lost >= LEAST and 2 * lost > of
