"""Docker or the bus away: served as before, told, healed unaided."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock.bus import keys
from interlock.model.names import Cluster
from interlock_demo.installation import REGION
from support.pipeline import PREFIX, Pipeline
from support.steps import away, interlock_json, kill_nginx


@pytest.mark.parametrize(("kind", "more"), [("refuse", {"seconds": 60}), ("error", {"status": 500})])
def test_docker_away_is_told_and_heals(pipeline: Pipeline, kind: str, more: dict[str, int]) -> None:
    pipeline.service("shop", replicas=2)
    pipeline.wait_effective("shop")
    planned = pipeline.routes()
    pipeline.sim.fault(kind, **more)

    def stale() -> bool:
        assert pipeline.routes() == planned, "something was withdrawn"
        (region,) = interlock_json(pipeline, "status")["regions"]
        return region["watcher"]["stale_since"] is not None and bool(region["watcher"]["reason"])

    pipeline.wait(stale, "status says that the state may be stale")
    assert pipeline.get("shop.test").status == 200
    pipeline.sim.clear()
    pipeline.sim.wait_ready()
    pipeline.sim.set_labels("shop", {PREFIX + "hosts": "shop.test,store.test"})
    pipeline.wait_routed("store.test")
    pipeline.wait(lambda: pipeline.status().regions[0].watcher.stale_since is None, "healed")  # type: ignore[union-attr]


def test_a_service_that_goes_between_two_reads_does_not_end_the_watcher(pipeline: Pipeline) -> None:
    """Docker answers 404 to the tasks of a service that was there a moment ago."""
    pipeline.service("gone")
    pipeline.service("blog")
    pipeline.wait_effective("gone", "blog")
    pipeline.sim.fault("error", status=404, path="/tasks")
    pipeline.sim.set_labels("blog", {PREFIX + "hosts": "blog.test,news.test"})
    pipeline.sim.remove("gone")
    pipeline.wait_unrouted("gone.test")
    assert pipeline.get("blog.test").status == 200
    pipeline.sim.clear()
    pipeline.wait_routed("news.test")
    assert "a thread failed" not in pipeline.log("watcher")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Pipeline(tmp_path_factory.mktemp("bus-away"), workers=2) as pipeline:
        yield pipeline


def test_with_the_bus_away_a_restarted_worker_serves_what_was_last_good(own: Pipeline) -> None:
    """Proxy and worker die with the bus away; the worker starts both from its own disk."""
    own.service("shop", replicas=2)
    own.service("blog", labels={"context_root": "/blog", "context_root_rewrite": "true"})
    own.wait_effective("shop", "blog")
    with away(own, "bus"):
        own.kill("extension")
        kill_nginx(own)
        with pytest.raises(OSError):  # noqa: PT011  # nobody listens
            own.get("shop.test")
        own.start("extension")
        own.wait_routed("shop.test")
        assert own.get("blog.test", "/blog/x").json()["path"] == "/x"
        assert own.get("nobody.test").status == 503
        # The other worker, whose proxy lives, serves on.
        assert own.get("shop.test", worker=1).status == 200
    own.sim.scale("shop", 3)
    own.wait_effective("shop", "blog")
    assert all(outcome is not None and outcome.stale_since is None for outcome in (own.outcome(0), own.outcome(1)))


def test_a_worker_tells_since_when_it_has_had_no_news(own: Pipeline) -> None:
    """While the planner cannot plan, the plan counts as stale; the worker of a plan that is gone says since when."""
    own.service("news")
    own.wait_effective("news")
    with away(own, "planner"), away(own, "watcher"):
        own.bus.command("FLUSHALL")

        def told() -> bool:
            # The registry is gone too, so the outcomes are asked for directly.
            outcome = own.outcome()
            return outcome is not None and outcome.stale_since is not None

        own.wait(told, lambda: f"the worker says that it is stale: {own.outcome()}")
        assert own.get("news.test").status == 200
    own.wait_effective("news")
    own.wait(lambda: own.outcome().stale_since is None, "healed")  # type: ignore[union-attr]
    assert own.get("news.test").status == 200


def test_services_that_are_missing_on_the_bus_are_unknown_and_not_gone(own: Pipeline) -> None:
    """With no watcher to write them again, a planner that takes missing for empty would withdraw everything."""
    own.service("kept")
    own.wait_effective("kept")
    services = keys.services(Cluster(REGION, ""))
    with away(own, "watcher"):
        own.bus.command("DEL", services.state, services.log)
        # Also for a planner that knows nothing of before.
        for again in (False, True):
            if again:
                own.kill("planner")
                own.start("planner")
            said = own.log("planner").count("services unknown")
            own.wait(lambda said=said: own.log("planner").count("services unknown") > said, "the planner has looked")  # type: ignore[misc]
            assert "kept.test" in {route.host for route in own.routes()}
        assert any("watcher has to list" in said for c in own.status().clusters for said in c.stale)
        assert own.get("kept.test").status == 200
    own.wait_effective("kept")
