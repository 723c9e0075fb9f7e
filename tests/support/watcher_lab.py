"""Watchers on a real bus before a simulated Swarm: in this process, or in one of their own to be killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.bus.state import Snapshot, StateWriter
from interlock.model.names import Cluster
from interlock.model.region import WatcherStatus
from interlock.model.swarm import Service
from interlock.runtime.lifecycle import Lifecycle
from interlock.wire import codec
from interlock.wire.fields import read_services
from interlock_watcher.app import Watcher, WatcherOptions

T = TypeVar("T")


def until(what: str, condition: Callable[[], T], show: Callable[[], object] = str, *, timeout: float = 20.0) -> T:
    """The first true value of the condition. Fails after `timeout` seconds, naming `what` and what `show` gives."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout} s: {what}; last: {value!r} {show()}"
        time.sleep(0.01)


class BusView:
    """What the bus holds of a region."""

    def __init__(self, url: str, region: str = "default") -> None:
        self.bus = Bus.connect(url, name="test-view")
        self.region = region

    def snapshot(self, cluster: str = "") -> Snapshot:
        return StateWriter(self.bus, keys.services(Cluster(self.region, cluster))).read()

    def services(self, cluster: str = "") -> dict[str, Service]:
        """By name."""
        services, refused = read_services(self.snapshot(cluster).fields)
        assert not refused
        return {service.name: service for service in services.values()}

    def status(self) -> WatcherStatus | None:
        data = RegionEnv(self.bus, self.region).read().get("watcher")
        return codec.decode("watcher", data, WatcherStatus) if data else None

    def serving(self, name: str, cluster: str = "") -> int:
        """How many tasks of a service serve, by the bus."""
        service = self.services(cluster).get(name)
        return sum(task.wanted for task in service.tasks) if service else -1

    def await_serving(self, name: str, count: int, cluster: str = "") -> None:
        """Until so many tasks of a service serve; says what is there instead."""
        until(
            f"{count} tasks of {name} serve", lambda: self.serving(name, cluster) == count, lambda: self._seen(cluster)
        )

    def _seen(self, cluster: str) -> str:
        return f"{self.services(cluster)} {self.status()}"

    def close(self) -> None:
        self.bus.close()


@contextmanager
def running_watcher(docker_url: str, bus_url: str, **options: object) -> Iterator[Watcher]:
    """A watcher in this process; ends with exit status 0 or the test fails."""
    lifecycle = Lifecycle("watcher", signals=False)
    watcher = Watcher(
        WatcherOptions(docker_url=docker_url, bus_url=bus_url, **options),  # type: ignore[arg-type]  # test options
        lifecycle,
    )
    watcher.start()
    try:
        yield watcher
    finally:
        assert lifecycle.close() == 0


def spawn_watcher(docker_url: str, bus_url: str, log: Path, *more: str) -> subprocess.Popen[bytes]:
    """A watcher in a process of its own, to be ended by the caller. No `docker_url`: what `more` says of it."""
    docker = ("--docker", docker_url) if docker_url else ()
    arguments = [sys.executable, "-m", "interlock_watcher.cli", *docker, "--bus", bus_url, *more]
    with log.open("ab") as out:
        return subprocess.Popen(arguments, stdout=out, stderr=out)
