"""The test harness itself: it starts everything, kills what it is told to, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pipeline import Pipeline


def test_a_part_can_be_killed_and_started_again(tmp_path: Path) -> None:
    with Pipeline(tmp_path, planners=2) as pipeline:
        pipeline.service("shop", replicas=2)
        assert pipeline.wait_routed("shop.test").json()["service"] == "shop"
        before = pipeline.processes
        assert {"bus", "simulator", "watcher", "planner", "planner-2", "extension", "nginx", "leash"} <= set(before)
        for name in ("planner", "bus", "nginx"):
            pipeline.kill(name)
            assert pipeline.processes.get(name) != before[name]
        pipeline.start("planner")
        pipeline.start("bus", fresh=True)
        pipeline.sim.scale("shop", 3)
        pipeline.wait_effective("shop")
        outcome = pipeline.outcome()
        assert outcome is not None
        assert outcome.endpoints == 3
        pipeline.kill("extension")
        assert pipeline.get("shop.test").status == 200, "nginx serves without its worker"


def test_a_failed_test_sees_the_logs_and_nothing_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = Pipeline(tmp_path).__enter__()
    identities = pipeline.identities()
    pipeline.__exit__(AssertionError, AssertionError("the test's"), None)
    assert not any(identity.alive() for identity in identities.values())
    assert not pipeline.folder.exists()
    assert "=== watcher.log ===" in capsys.readouterr().out
    assert (tmp_path / "logs" / "extension.log").exists()
