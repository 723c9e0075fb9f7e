"""Docker's API misbehaves under load while a service is scaled and updated: nothing is withdrawn, nothing fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.pipeline import Pipeline
from support.steps import endpoints, figures

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

# Shorter than the 3 s between desired state and SIGTERM: who cannot ask Docker for longer cannot know.
BRIEF = 1.5
FAULTS: dict[str, dict[str, Any]] = {
    "refuse": {"kind": "refuse", "seconds": BRIEF},
    "reset": {"kind": "reset", "seconds": BRIEF},
    "slow": {"kind": "slow", "delay": 0.5, "seconds": 4.0},
    "500": {"kind": "error", "status": 500, "seconds": BRIEF},
    "503": {"kind": "error", "status": 503, "seconds": BRIEF},
    "cut_events": {"kind": "cut_events", "seconds": 4.0},
    "drop_events": {"kind": "drop_events", "seconds": 4.0},
    "slow_listing": {"kind": "slow_listing", "delay": 1.5, "seconds": 5.0},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_during_a_change(installation: Pipeline, follows: Callable[[Pipeline], None], fault: str) -> None:
    """Even faults hit a rolling update, odd ones a scale-up and down. The neighbour never loses an endpoint."""
    sim = installation.sim
    neighbour = endpoints(installation, "blog.test")
    number = list(FAULTS).index(fault)
    with installation.load(["shop.test", "blog.test"], rate=200) as load:
        installation.wait(lambda: load.report().requests > 100, "the load is up")
        if number % 2:
            sim.scale("shop", 4)
        else:
            sim.update("shop", env={"APP_VERSION": fault}, order="stop-first" if number % 4 else "start-first")
        number_of = sim.fault(**FAULTS[fault])

        def over() -> bool:
            assert endpoints(installation, "blog.test") == neighbour, "an endpoint was withdrawn"
            assert len(endpoints(installation, "shop.test")) >= 1
            return number_of not in {entry["id"] for entry in sim.call("GET", "/_sim/faults")}

        installation.wait(over, "the fault is over")
        sim.wait_ready()
        if number % 2:
            installation.wait_effective("shop", timeout=60)
            sim.scale("shop", 2)
        follows(installation)
    print(f"\n{figures(f'Docker: {fault}', load.report())}")
    assert load.report().failed == 0, load.report().failures[:5]
    watcher = installation.status().regions[0].watcher
    assert watcher is not None
    installation.wait(lambda: _fresh(installation), "it is fresh again")


def _fresh(pipeline: Pipeline) -> bool:
    watcher = pipeline.status().regions[0].watcher
    return watcher is not None and watcher.stale_since is None
