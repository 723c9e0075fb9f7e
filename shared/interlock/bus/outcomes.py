"""Outcomes: what each proxy runs, kept alive by its worker's heartbeat, and a log of those that said something new."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.scripts import load
from interlock.bus.state import Retention
from interlock.errors import Corrupted, NotAllowed, WireError
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.wire import codec

HEARTBEAT_TTL = 5.0
"""Seconds after which a proxy that says nothing is no longer counted as live."""

_FORGET_AFTER = 600.0
_RETENTION = Retention(most_bytes=8 * 1024 * 1024)

_MOST_HEARD = 256
"""Entries of one cluster's log that are read at a time: the newest."""

_keep = load("outcome", roomy=True)


class Outcomes:
    """The outcomes of any cluster. Every method raises `BusUnavailable`, or another `BusError` for a refusal."""

    def __init__(self, bus: Bus, *, retention: Retention = _RETENTION) -> None:
        self._bus = bus
        self._retention = retention

    def publish(self, cluster: Cluster, outcome: Outcome, *, news: bool = True, ttl: float = HEARTBEAT_TTL) -> None:
        """Says what a proxy runs. `news`: log it too; a mere heartbeat is not logged."""
        key = keys.outcomes(cluster)
        self._bus.run(
            _keep,
            [key, f"{key}:log"],
            [
                outcome.proxy,
                int(ttl * 1000),
                codec.encode("outcome", outcome),
                "1" if news else "",
                int(self._retention.seconds * 1000),
                self._retention.most_bytes,
                int(_FORGET_AFTER * 1000),
            ],
        )

    def live(self, cluster: Cluster) -> list[Outcome]:
        """The outcomes of the proxies whose heartbeat is not over, sorted by proxy. Unreadable ones are left out.

        Raises `Corrupted` where the key is not of our making: that is no absence of proxies.
        """
        now = self._bus.server_time()
        answer: dict[bytes, bytes] = self._bus.command("HGETALL", keys.outcomes(cluster))
        found = []
        for value in answer.values():
            expires, _, frame = value.partition(b":")
            if not expires.isdigit() or int(expires) / 1000 < now:
                continue
            try:
                found.append(codec.decode("outcome", frame, Outcome, where=f"outcome in {cluster}"))
            except WireError:
                continue
        return sorted(found, key=lambda outcome: outcome.proxy)

    def shown(self, cluster: Cluster) -> list[Outcome]:
        """The same for people: a key that is not of our making does not hide the other clusters."""
        try:
            return self.live(cluster)
        except Corrupted:
            return []


class OutcomeNews:
    """Tells which clusters' proxies have said something new, at one round trip for all. For one thread."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._outcomes = Outcomes(bus)
        self._newest: dict[Cluster, object] = {}

    def poll(self, clusters: Iterable[Cluster]) -> dict[Cluster, list[Outcome]]:
        """All live outcomes of those clusters with news since the last poll; of one that is new here, in any case.

        A cluster whose outcomes the bus refuses to tell is left out, since unknown is not empty. Raises
        `BusUnavailable`. What was not told is told by the next poll.
        """
        asked = list(clusters)
        found: dict[Cluster, list[Outcome]] = {}
        told: dict[Cluster, object] = {}
        # Whatever is newest and was not so before is news: after a flush or a failover ids may begin anew, or again.
        commands = [("XREVRANGE", f"{keys.outcomes(c)}:log", "+", "-", "COUNT", 1) for c in asked]
        for cluster, entries in zip(asked, self._bus.pipeline(commands) if asked else (), strict=True):
            newest = entries[0] if entries else None
            if entries is None or (cluster in self._newest and newest in (None, self._newest[cluster])):
                continue
            try:
                found[cluster] = self._outcomes.live(cluster)
            except (Corrupted, NotAllowed):
                continue
            told[cluster] = newest
        # Only now: what was heard of one cluster is not told where another's cannot be asked.
        self._newest |= told
        return found

    def forget(self, cluster: Cluster) -> None:
        """Its next poll begins anew."""
        self._newest.pop(cluster, None)


class OutcomeLog:
    """Every outcome that was news, and not only what each proxy says at present. For one thread."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._last: dict[Cluster, bytes] = {}

    def __contains__(self, cluster: Cluster) -> bool:
        """Whether its log has been looked at."""
        return cluster in self._last

    def since(self, cluster: Cluster) -> list[Outcome]:
        """What was said since the last look, in that order; at the first look nothing, after many entries the newest.

        Raises `BusError`. What cannot be read is left out.
        """
        last = self._last.get(cluster)
        start, count = ("-", 1) if last is None else (b"(" + last, _MOST_HEARD)
        entries = self._bus.command("XREVRANGE", f"{keys.outcomes(cluster)}:log", "+", start, "COUNT", count)
        if last is None:
            self._last[cluster] = entries[0][0] if entries else b"0-0"
            return []
        if entries:
            self._last[cluster] = entries[0][0]
        return list(_readable(fields for _, fields in reversed(entries)))

    def forget(self, cluster: Cluster) -> None:
        """Its next look is a first one."""
        self._last.pop(cluster, None)


def _readable(entries: Iterable[Mapping[bytes, bytes]]) -> Iterator[Outcome]:
    for fields in entries:
        with contextlib.suppress(WireError):
            yield codec.decode("outcome", fields.get(b"d", b""), Outcome, where="a log of outcomes")
