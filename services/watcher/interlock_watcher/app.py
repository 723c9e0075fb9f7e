"""The watcher put together: Docker on one side, the bus on the other. The only module that names them all."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from interlock.bus.connection import Bus
from interlock.model.region import WatcherStatus
from interlock.runtime.health import State, pulse
from interlock.runtime.lifecycle import Lifecycle
from interlock.runtime.metrics import Metrics
from interlock_watcher.docker_source import DockerSource
from interlock_watcher.endpoint import Tls
from interlock_watcher.exported import StatusCollector
from interlock_watcher.inbox import Inbox
from interlock_watcher.publish import Publisher
from interlock_watcher.watch import Watch


class WatcherOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a watcher is told. `poll_interval` in seconds; `name` shows in leases and status.

    `places`: where Docker's URL and the files of TLS were said, by their keys, for errors.
    """

    docker_url: str
    bus_url: str
    region: str = "default"
    poll_interval: float = 3.0
    name: str = "watcher"
    tls: Tls | None = None
    places: Mapping[str, str] = {}


class Watcher:
    """One watcher. Its threads belong to `lifecycle`; raises ConfigError for a URL that cannot be used."""

    def __init__(self, options: WatcherOptions, lifecycle: Lifecycle, metrics: Metrics | None = None) -> None:
        self.options = options
        self._lifecycle = lifecycle
        self._bus = Bus.connect(options.bus_url, name=f"watcher-{options.name}")
        inbox = Inbox()
        self.watch = Watch(
            lambda: DockerSource(options.docker_url, tls=options.tls, places=options.places),
            inbox,
            lifecycle.stop,
            poll_interval=options.poll_interval,
            region=options.region,
        )
        self.publisher = Publisher(
            self._bus, options.region, options.name, lifecycle.stop, watch=self.watch, inbox=inbox, status=self.status
        )
        if metrics is not None:
            metrics.registry.register(StatusCollector(lambda: self.status(options.name, self.publisher.counters)))

    def start(self) -> Watcher:
        """Start the loops."""
        lifecycle = self._lifecycle
        lifecycle.on_close("bus", self._bus.close)
        lifecycle.on_stop(self.watch.close)
        lifecycle.on_stop(self.publisher.poke)
        lifecycle.spawn("watcher-publish", self.publisher.run)
        lifecycle.spawn("watcher-listings", self.watch.list_all)
        lifecycle.spawn("watcher-events", self.watch.follow_events)
        lifecycle.spawn("watcher-reads", self.watch.read_hinted)
        lifecycle.spawn("watcher-health", lambda: pulse(self.health, lifecycle.stop), once=True)
        return self

    def health(self) -> State:
        """For the container's check: to be blind for Docker or the bus is said, and no restart would mend it."""
        status = self.status(self.options.name, {})
        role = "acts for" if self.publisher.acting else "stands by for"
        stale = f"; stale: {status.reason}" if status.stale_since is not None else ""
        stale += f"; held back: {status.held}" if status.held else ""
        stale += f"; {self.publisher.wrong}" if self.publisher.wrong else ""
        # The check has the wall clock alone: the age of the last turn, by the clock as it is now.
        at = time.time() - (time.monotonic() - self.publisher.alive_at)
        return {"at": at, "ok": True, "says": f"{role} region {self.options.region}{stale}"}

    def status(self, owner: str, counters: Mapping[str, float]) -> WatcherStatus:
        """The status record as of now, by the clock of `Watch`; `counters` are the publisher's."""
        watch = self.watch
        now = watch.clock.now()
        with watch.lock:
            health = watch.health
            since, why = health.stale(now)
            return WatcherStatus(
                owner=owner,
                at=now,
                docker_url=self.options.docker_url,
                docker_reachable=health.last_listing is not None and health.failing_since is None,
                events_connected=health.events_connected,
                api_version=watch.api_version,
                engine_version=watch.engine_version,
                last_listing=health.last_listing,
                listing_seconds=health.listing_seconds,
                poll_interval=health.poll_interval,
                stale_since=since,
                reason=why,
                services=watch.view.count,
                unsettled=len(watch.view.unsettled),
                unreadable=watch.unreadable,
                held_since=watch.view.doubts.since,
                held=watch.view.doubts.reason,
                clock_jumped_at=health.jumped_at,
                clock_jumped_by=health.jumped_by,
                counters={**health.counters, **counters},
            )
