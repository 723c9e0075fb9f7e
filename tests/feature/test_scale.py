"""Scaling: every task is an endpoint, and no other address is."""

from __future__ import annotations

from support.pipeline import Pipeline
from support.steps import asked, figures


def test_case_2_scale_to_four_and_back_to_one(pipeline: Pipeline) -> None:
    """Case 2: four distinct x-upstream-addr, then one; no request fails."""
    pipeline.service("demo", labels={"hosts": "demo.local"})
    pipeline.wait_effective("demo")
    with pipeline.load(["demo.local"], rate=100) as load:
        pipeline.sim.scale("demo", 4)
        pipeline.wait_effective("demo")
        addresses = {f"{e.address}:{e.port}" for route in pipeline.routes() for e in route.endpoints}
        four = asked(pipeline, "demo.local", 40, header="x-upstream-addr")
        pipeline.sim.scale("demo", 1)
        pipeline.wait_effective("demo")
        one = asked(pipeline, "demo.local", 10, header="x-upstream-addr")
    print(figures("1 → 4 → 1", load.report()))
    assert set(four) == addresses
    assert len(four) == 4
    assert len(one) == 1
    assert load.report().failed == 0, load.report().failures[:5]


def test_scaled_to_nothing_gives_the_503_page_and_comes_back(pipeline: Pipeline) -> None:
    pipeline.service("demo", replicas=2)
    pipeline.wait_routed("demo.test")
    pipeline.sim.scale("demo", 0)
    pipeline.wait_unrouted("demo.test")
    pipeline.sim.scale("demo", 1)
    assert pipeline.wait_routed("demo.test").headers["x-service"] == "demo"
    assert pipeline.outcome().rejections == ()  # type: ignore[union-attr]  # it has just served


def test_a_crashed_task_leaves_and_its_replacement_serves(pipeline: Pipeline) -> None:
    pipeline.service("demo", replicas=2)
    pipeline.wait_effective("demo")
    (dead,) = pipeline.sim.crash("demo")
    pipeline.wait(lambda: dead not in str(pipeline.routes()), "the crashed task has left the plan")
    pipeline.wait_effective("demo")
    answers = asked(pipeline, "demo.test", 10)
    assert len(answers) == 2
    assert dead not in answers
