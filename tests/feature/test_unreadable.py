"""What a newer version wrote: refused, reported, and routing goes on."""

from __future__ import annotations

import msgspec

from interlock.bus import keys
from interlock.model.names import Cluster
from interlock_demo.installation import REGION
from support.pipeline import PREFIX, Pipeline
from support.steps import away

SCHEMA = 99
SERVICES = keys.services(Cluster(REGION, "")).state
PLAN = keys.plan(Cluster(REGION, "")).state


def _spoil(pipeline: Pipeline, key: str, field: str) -> None:
    """Give a frame on the bus a schema that nobody here reads."""
    frame = msgspec.msgpack.decode(pipeline.bus.command("HGET", key, field))
    pipeline.bus.command("HSET", key, field, msgspec.msgpack.encode({**frame, "v": SCHEMA}))


def test_a_service_of_schema_99_stays_routed_as_it_was_and_is_told(pipeline: Pipeline) -> None:
    shop = pipeline.service("shop", replicas=2)
    pipeline.service("blog")
    pipeline.wait_effective("shop", "blog")
    with away(pipeline, "planner"):
        _spoil(pipeline, SERVICES, shop)
        pipeline.sim.set_labels("blog", {PREFIX + "hosts": "blog.test,news.test"})
    pipeline.wait_routed("news.test")
    assert pipeline.get("shop.test").headers["x-service"] == "shop"
    (problem,) = pipeline.status().clusters[0].problems
    assert (problem.service, problem.key) == ("shop", "frame")
    assert str(SCHEMA) in problem.reason
    assert problem.remedy
    # The next thing that is written of it can be read again.
    pipeline.sim.set_labels("shop", {PREFIX + "hosts": "shop.test,store.test"})
    pipeline.wait_routed("store.test")
    pipeline.wait(lambda: not pipeline.status().clusters[0].problems, "the problem is gone")


def test_a_plan_of_schema_99_stays_served_as_it_was_and_is_told(pipeline: Pipeline) -> None:
    pipeline.service("shop")
    pipeline.service("blog")
    pipeline.wait_effective("shop", "blog")
    with away(pipeline, "planner"):
        with away(pipeline, pipeline.extension):
            _spoil(pipeline, PLAN, "host:shop.test")

        def told() -> bool:
            outcome = pipeline.outcome()
            return outcome is not None and "shop.test" in outcome.reason and str(SCHEMA) in outcome.reason

        pipeline.wait(told, lambda: f"the worker tells what it cannot read: {pipeline.outcome()}")
        assert {pipeline.get(host).status for host in ("shop.test", "blog.test")} == {200}
    # The new planner compares the whole plan, and so repairs it.
    pipeline.sim.set_labels("shop", {PREFIX + "hosts": "shop.test,store.test"})
    pipeline.wait_routed("store.test")
    pipeline.wait_effective("shop", "blog")
