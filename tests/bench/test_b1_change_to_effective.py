"""B1: from a task that runs to requests that reach it, every service in a process of its own, on the simulated Swarm.

How it is measured is in `support.change_to_effective`; test_b1_on_swarm.py measures the same on real engines.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock_demo.installation import REGION
from support.change_to_effective import AFTER_DOCKER, ROUNDS, Round, TaskProbe, floor, observe, split, table, trail
from support.pipeline import Pipeline

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
PAIRS = (("· Docker", "docker", "seen"), *((f"· {label}", a, b) for label, a, b in AFTER_DOCKER))


def answered_by(pipeline: Pipeline, host: str) -> dict[str, str]:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return pipeline.get(host).headers
    return {}


def measured(
    pipeline: Pipeline, name: str, change: Callable[[], object], right: Callable[[dict[str, str]], bool]
) -> Round:
    before = [task["ID"] for task in pipeline.sim.docker_tasks(name)] if name == "roll" else []
    probe = TaskProbe(pipeline.sim.socket, name, before)
    change()
    effective = observe(probe, lambda: right(answered_by(pipeline, f"{name}.test")))
    return Round(1000 * (effective - probe.began), split(trail(pipeline.bus, REGION, effective), PAIRS))


def test_b1(tmp_path: Path) -> None:
    env = {"SIM_START_DELAY": "0"}
    with Pipeline(tmp_path, profile="real") as pipeline:
        created = []
        for n in range(ROUNDS):
            name = f"new{n}"
            created.append(
                measured(pipeline, name, lambda name=name: pipeline.service(name, env=env), lambda h: "x-task" in h)  # type: ignore[misc]
            )
            pipeline.sim.remove(name)
        pipeline.service("roll", env=env | {"APP_VERSION": "0"})
        pipeline.wait_routed("roll.test")
        pipeline.wait_effective("roll")
        rolled = []
        for n in range(1, ROUNDS + 1):
            update = lambda n=n: pipeline.sim.update("roll", env=env | {"APP_VERSION": str(n)}, order="start-first")  # noqa: E731
            rolled.append(measured(pipeline, "roll", update, lambda h, n=n: h.get("x-version") == str(n)))  # type: ignore[misc]
            pipeline.wait_effective("roll", timeout=30)
    table("a new service with a new host", created)
    table("a start-first update of one task: until the new one alone answers", rolled)
    floor()
    assert all(r.total > 0 for r in created + rolled)
