"""Looking at the installation from outside: what the bus says of routes, proxies and problems. Reads only. Shell."""

from __future__ import annotations

import contextlib

import msgspec

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.errors import BusError, WireError
from interlock.inspection import view
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.wire import codec


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen at one time. `news`: outcomes since the look before. `away`: why the bus could not be asked."""

    status: view.StatusView | None = None
    routes: tuple[view.RouteView, ...] = ()
    news: tuple[Outcome, ...] = ()
    away: str = ""

    @property
    def proxies(self) -> tuple[view.ProxyView, ...]:
        """Those that are alive."""
        return tuple(proxy for cluster in self.clusters for proxy in cluster.proxies)

    @property
    def clusters(self) -> tuple[view.ClusterView, ...]:
        """All service clusters."""
        return self.status.clusters if self.status else ()

    @property
    def settled(self) -> bool:
        """Whether every proxy runs the present plan, and nothing is waited for."""
        return (
            not self.away
            and bool(self.proxies)
            and not any(proxy.behind or proxy.outcome.waiting for proxy in self.proxies)
            and not any(cluster.stale or cluster.draining for cluster in self.clusters)
        )


class Observer:
    """Looks again and again; owns nothing but a cursor into the log of outcomes. `close` closes the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._seen: dict[Cluster, str] = {}
        self._last = Sight()

    def look(self) -> Sight:
        """What there is now; what was there last, and why, where the bus cannot be asked."""
        try:
            status = view.status(self._bus)
            news = [o for c in status.clusters for o in self._outcomes(Cluster(c.region, c.cluster))]
            # After the outcomes, so that the routes are never older than what is told about them.
            routes = view.routes(self._bus)
        except (BusError, WireError) as error:
            self._last = msgspec.structs.replace(self._last, news=(), away=str(error))
        else:
            self._last = Sight(status=status, routes=routes, news=tuple(news))
        return self._last

    def close(self) -> None:
        """Closes the connection."""
        self._bus.close()

    def _outcomes(self, cluster: Cluster) -> list[Outcome]:
        after = self._seen.get(cluster)
        log = f"{keys.outcomes(cluster)}:log"
        found = []
        for entry_id, fields in self._bus.command("XRANGE", log, f"({after}" if after else "-", "+"):
            self._seen[cluster] = entry_id.decode()
            with contextlib.suppress(WireError, KeyError):
                found.append(codec.decode("outcome", fields[b"d"], Outcome, where=log))
        return found
