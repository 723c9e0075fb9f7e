"""Churn under load for as long as one likes: seeded changes, faults of Docker and kills of every part but the proxy.

`SOAK_MINUTES` (60), `SOAK_SEED` (fresh, printed) and `SOAK_RATE` (150 requests/s). Nothing may fail, since no change
here takes an endpoint away without notice. At the end everything must have converged, and no process may have grown
beyond bounds. Each run belongs into `docs/soak.md`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.errors import InterlockError
from interlock_simulator.client import SimulatorClient
from support.pipeline import Pipeline

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
RATE = float(os.environ.get("SOAK_RATE", "150"))
SERVICES = ("shop", "blog", "api", "docs")
RESTARTED = ("watcher", "watcher-2", "planner", "planner-2", "extension", "bus")
FAULTS = ("error", "slow", "refuse", "cut_events", "drop_events", "slow_listing")

pytestmark = [pytest.mark.soak, pytest.mark.timeout(int(MINUTES * 60) + 600)]


def resident_megabytes(pid: int) -> float:
    """Memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Churn:
    """Draws one change after the other, and remembers what it did."""

    def __init__(self, pipeline: Pipeline, draw: random.Random) -> None:
        self.pipeline, self.draw = pipeline, draw
        self.done: Counter[str] = Counter()
        self.version = 1
        self.story: list[tuple[float, str]] = []

    @property
    def sim(self) -> SimulatorClient:
        return self.pipeline.sim

    def one(self) -> None:
        acts: list[tuple[int, Callable[[], None]]] = [
            (30, self.scale), (20, self.roll), (15, self.relabel), (10, self.fault), (20, self.kill),
            (5, self.leader_change),
        ]  # fmt: skip
        act = self.draw.choices([a for _, a in acts], [w for w, _ in acts])[0]
        self.done[act.__name__] += 1
        self.story.append((time.time(), act.__name__))
        act()

    def updating(self, name: str) -> bool:
        return (self.sim.service(name).get("UpdateStatus") or {}).get("State") == "updating"

    def fragile(self, name: str) -> bool:
        """Whether an edit may leave Swarm without a task that listens: it takes the next task away at once."""
        order = (self.sim.service(name)["Spec"].get("UpdateConfig") or {}).get("Order")
        return order != "start-first" and self.updating(name)

    def scale(self) -> None:
        name, replicas = self.draw.choice(SERVICES), self.draw.randint(2, 6)
        if self.fragile(name):
            return
        self.story.append((time.time(), f"{name} to {replicas}"))
        self.sim.scale(name, replicas)

    def roll(self) -> None:
        name = self.draw.choice(SERVICES)
        order = self.draw.choice(["start-first", "stop-first"])
        if self.updating(name):
            # Two updates at once may leave Swarm without a single task that listens, and then nobody can answer.
            return
        self.version += 1
        self.story.append((time.time(), f"{name} {order}"))
        self.sim.update(name, env={"APP_VERSION": str(self.version)}, order=order)

    def relabel(self) -> None:
        name = self.draw.choice(SERVICES)
        if self.fragile(name):
            return
        hosts = f"{name}.test" + self.draw.choice(["", f",www.{name}.test", f",{self.version}.{name}.test"])
        self.sim.set_labels(name, {"com.docker.lb.hosts": hosts, "com.docker.lb.port": "8080"})

    def fault(self) -> None:
        kind = self.draw.choice(FAULTS)
        options = {
            "error": {"status": self.draw.choice([500, 503])},
            "slow": {"delay": 0.4},
            "slow_listing": {"delay": 1.0},
        }
        # Whoever cannot ask Docker for all of the three seconds between a task's last word and SIGTERM misses it.
        seconds = self.draw.uniform(0.5, 1.5 if self.stopping() else 4.0)
        self.story.append((time.time(), f"{kind} for {seconds:.1f} s"))
        self.sim.fault(kind, seconds=seconds, **options.get(kind, {}))

    def stopping(self) -> bool:
        """Whether a task is about to be stopped, or will be by an update that is under way."""
        return any(map(self.updating, SERVICES)) or any(
            task["Status"]["State"] == "running" and task["DesiredState"] != "running"
            for name in SERVICES
            for task in self.sim.docker_tasks(name)
        )

    def leader_change(self) -> None:
        self.sim.nodes_unknown(self.draw.uniform(1.0, 4.0))

    def kill(self) -> None:
        name = self.draw.choice(RESTARTED)
        self.story.append((time.time(), f"kill {name}"))
        self.pipeline.kill(name)
        # While no worker lives, nobody can let go of a task that is to stop: its supervisor has two seconds, not more.
        time.sleep(self.draw.uniform(0.1, 0.3 if name == "extension" else 1.5))
        self.pipeline.start(name)


def docker_answers(sim: SimulatorClient) -> None:
    """Waits until a Docker that was made to refuse connections listens again."""
    deadline = time.monotonic() + 10
    while True:
        try:
            sim.service(SERVICES[0])
            return
        except InterlockError:
            assert time.monotonic() < deadline, "Docker does not come back"
            time.sleep(0.05)


def test_nothing_fails_and_everything_converges(tmp_path: Path) -> None:
    print(f"SOAK_SEED={SEED} SOAK_MINUTES={MINUTES:g} SOAK_RATE={RATE:g}")
    with Pipeline(tmp_path, profile="real", watchers=2, planners=2) as pipeline:
        for name in SERVICES:
            pipeline.service(name, replicas=2, env={"APP_VERSION": "1"})
            pipeline.wait_routed(f"{name}.test")
        pipeline.wait_effective(*SERVICES, timeout=60)
        churn = Churn(pipeline, random.Random(SEED))
        ends = time.monotonic() + MINUTES * 60
        with pipeline.load([f"{name}.test" for name in SERVICES], rate=RATE, seed=SEED) as load:
            while time.monotonic() < ends:
                try:
                    churn.one()
                except InterlockError:
                    churn.done["refused by a faulty Docker"] += 1
                time.sleep(churn.draw.uniform(0.2, 3.0))
            pipeline.sim.clear()
            docker_answers(pipeline.sim)
            pipeline.wait_effective(*SERVICES, timeout=180)
            time.sleep(2)
        report = load.report()
        memory = {name: resident_megabytes(pid) for name, pid in pipeline.processes.items()}
        outcome = pipeline.outcome()
        late = [t for t in pipeline.sim.tasks() if t.get("after_sigterm")]
    print(
        f"| {SEED} | {MINUTES:g} min, {RATE:g}/s | {dict(churn.done)} | {report.requests:,} requests, "
        f"{report.failed} failed, {report.proxy_retries} retried by the proxy, p99 {report.p99_ms:.1f} ms | "
        f"largest process {max(memory.values()):.0f} MB |"
    )
    for failure in report.failures[:20]:
        print(
            failure, [f"{failure.at - at:.2f} s after {what}" for at, what in churn.story if 0 < failure.at - at < 15]
        )
    assert report.failures == ()
    assert late == [], "a task was sent a request after its SIGTERM"
    assert max(memory.values()) < 400
    assert outcome is not None
