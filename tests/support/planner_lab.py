"""Planners at work on a real bus: in a thread for most tests, in a process where one is to be killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.registry import Registry
from interlock.bus.state import Snapshot, StateWriter, snapshot_of
from interlock.model.names import Cluster
from interlock.model.routing import Plan
from interlock.model.swarm import Service
from interlock.model.version import Token
from interlock.runtime.metrics import Metrics
from interlock.wire.fields import read_plan, service_bytes
from interlock.wire.trail import Cause, Trail
from interlock_planner.counters import Counters
from interlock_planner.loop import PlannerLoop


class Pen:
    """Writes the services of one cluster as a watcher does, and reads its plan."""

    def __init__(self, bus: Bus, cluster: Cluster) -> None:
        self.bus = bus
        self.cluster = cluster
        self.partition = keys.services(cluster)
        self.writer = StateWriter(bus, self.partition)
        self.token = Token(epoch=1, nonce="watcher")
        self.changes = 0

    def trail(self) -> Trail:
        self.changes += 1
        now = time.time()
        cause = Cause(id=f"change-{self.changes}", kind="event", what="service update", at=now)
        return Trail(causes=(cause,)).hop("seen", now)

    def listing(self, *services: Service) -> None:
        """A whole listing."""
        self.raw_listing({s.id: service_bytes(s) for s in services})

    def raw_listing(self, fields: Mapping[str, bytes]) -> None:
        Registry(self.bus).register(self.cluster)
        self.writer.replace(fields, token=self.token, trail=self.trail())

    def change(self, *services: Service, gone: str = "", raw: Mapping[str, bytes] | None = None) -> None:
        """One write of what changed."""
        changes: dict[str, bytes | None] = {s.id: service_bytes(s) for s in services}
        if gone:
            changes[gone] = None
        self.writer.write(changes | (raw or {}), token=self.token, trail=self.trail())

    def snapshot(self) -> Snapshot:
        """The plan's state as it is."""
        return snapshot_of(self.bus.command("HGETALL", keys.plan(self.cluster).state))

    def plan(self) -> Plan:
        plan, refused = read_plan(self.snapshot().fields)
        assert not refused
        return plan

    def hosts(self) -> set[str]:
        return set(self.plan().hosts)


class Planner:
    """A planner in a thread, with its counters."""

    def __init__(self, url: str, name: str) -> None:
        self.metrics = Metrics("planner")
        self.bus = Bus.connect(url, name=name)
        self.stop = threading.Event()
        self.loop = PlannerLoop(self.bus, Counters(self.metrics), name=name)
        self.thread = threading.Thread(target=self.loop.run, args=(self.stop,), name=name)

    def count(self, what: str) -> float:
        value = self.metrics.registry.get_sample_value(f"interlock_planner_{what}")
        assert value is not None
        return value


@contextmanager
def planner(url: str, name: str = "p1") -> Iterator[Planner]:
    """Runs one; at the end it must stop, and at once."""
    found = Planner(url, name)
    found.thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        found.thread.join(timeout=15)
        alive = found.thread.is_alive()
        found.bus.close()
        assert not alive


@contextmanager
def process(url: str, name: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A planner in a process of its own, by its console script."""
    script = Path(sys.executable).with_name("interlock-planner")
    child = subprocess.Popen([script, "--bus", url, "--name", name, "--log-level", "warning", *options])
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
        child.wait(timeout=15)


def eventually(condition: Callable[[], object], within: float = 5.0, what: str = "") -> float:
    """Wait until it holds; the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, what or "not in time"
        time.sleep(0.01)
    return time.monotonic() - began


def always(condition: Callable[[], object], for_seconds: float) -> None:
    """It holds, and goes on holding."""
    deadline = time.monotonic() + for_seconds
    while time.monotonic() < deadline:
        assert condition()
        time.sleep(0.02)
