"""Services that share a host merge: canary and blue-green."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline
from support.steps import asked, figures


def test_case_20_canary_share_is_the_share_of_tasks_and_blue_green_goes_to_nothing(pipeline: Pipeline) -> None:
    """Case 20: 4 and 1 tasks give a fifth, 4 and 4 half, 0 and 4 all; and back. No request fails."""
    pipeline.service("v1", replicas=4, labels={"hosts": "demo.local"}, env={"APP_VERSION": "1"})
    pipeline.service("v2", replicas=1, labels={"hosts": "demo.local"}, env={"APP_VERSION": "2"})
    pipeline.wait_effective("v1", "v2")
    with pipeline.load(["demo.local"], rate=60) as load:
        assert _share_of_v2(pipeline) in range(12, 29)
        pipeline.sim.scale("v2", 4)
        pipeline.wait_effective("v1", "v2")
        assert _share_of_v2(pipeline) in range(38, 63)
        pipeline.sim.scale("v1", 0)
        pipeline.wait_effective("v1", "v2")
        assert _share_of_v2(pipeline) == 100
        pipeline.sim.scale("v1", 4)
        pipeline.sim.scale("v2", 0)
        pipeline.wait_effective("v1", "v2")
        assert _share_of_v2(pipeline) == 0
    print(figures("canary, blue-green and back", load.report()))
    assert load.report().failed == 0, load.report().failures[:5]


def _share_of_v2(pipeline: Pipeline) -> int:
    return asked(pipeline, "demo.local", 100, header="x-version")["2"]


def test_of_settings_that_can_only_be_one_the_older_service_counts_and_the_younger_is_told(pipeline: Pipeline) -> None:
    pipeline.service("older", labels={"hosts": "demo.local", "context_root": "/app", "context_root_rewrite": "true"})
    pipeline.wait_effective("older")
    pipeline.service("younger", labels={"hosts": "demo.local", "context_root": "/app"})
    pipeline.wait_effective("older", "younger")
    assert {pipeline.get("demo.local", "/app/x").json()["path"] for _ in range(4)} == {"/x"}
    (problem,) = pipeline.status().clusters[0].problems
    assert (problem.service, problem.key) == ("younger", PREFIX + "context_root_rewrite")
    assert "older" in problem.reason
