"""Service clusters: each has proxies of its own, and none can disturb another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock_demo.installation import REGION
from support.pipeline import PREFIX, Pipeline
from support.steps import away, host_files, settled

EAST, WEST = 0, 1


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Pipeline(tmp_path_factory.mktemp("clusters"), clusters=("east", "west")) as pipeline:
        yield pipeline


@pytest.fixture
def pipeline(clusters: Pipeline) -> Iterator[Pipeline]:
    yield clusters
    clusters.sim.reset()
    clusters.wait(
        lambda: settled(clusters) and not any(p.outcome.hosts for c in clusters.status().clusters for p in c.proxies),
        "nothing is served any more",
    )


def _version(pipeline: Pipeline, cluster: str) -> object:
    return next(c.version for c in pipeline.status().clusters if c.cluster == cluster)


def test_case_27_a_service_answers_in_its_cluster_and_the_other_is_left_alone(pipeline: Pipeline) -> None:
    """Case 27: 503 in the other cluster; deploying in east leaves west's version, files and outcomes unchanged."""
    pipeline.service("here", labels={"service_cluster": "east"})
    pipeline.service("there", labels={"service_cluster": "west"})
    pipeline.wait_routed("here.test", worker=EAST)
    pipeline.wait_routed("there.test", worker=WEST)
    pipeline.wait(lambda: settled(pipeline), "settled")
    assert pipeline.get("here.test", worker=WEST).status == pipeline.get("there.test", worker=EAST).status == 503
    west = (_version(pipeline, "west"), host_files(pipeline, WEST), pipeline.outcome_log("west"))
    pipeline.sim.scale("here", 3)
    pipeline.service("more", labels={"service_cluster": "east"})
    pipeline.sim.set_labels("here", {PREFIX + "context_root": "/app"})
    pipeline.wait_effective("here", "more")
    assert (_version(pipeline, "west"), host_files(pipeline, WEST), pipeline.outcome_log("west")) == west


def test_the_same_host_may_be_another_service_in_another_cluster(pipeline: Pipeline) -> None:
    for name in ("east", "west"):
        pipeline.service(f"shop-{name}", labels={"hosts": "shop.test", "service_cluster": name})
    for worker, name in ((EAST, "east"), (WEST, "west")):
        assert pipeline.wait_routed("shop.test", worker=worker).headers["x-service"] == f"shop-{name}"


def test_a_cluster_that_no_proxy_serves_is_routed_nowhere(pipeline: Pipeline) -> None:
    pipeline.service("lost", labels={"service_cluster": "north"})
    pipeline.wait(lambda: "lost.test" in {route.host for route in pipeline.routes()}, "it is planned")
    assert {pipeline.get("lost.test", worker=worker).status for worker in (EAST, WEST)} == {503}


def test_a_service_moves_and_is_never_in_no_cluster(pipeline: Pipeline) -> None:
    pipeline.service("shop", labels={"service_cluster": "east"})
    pipeline.wait_routed("shop.test", worker=EAST)
    pipeline.wait_effective("shop")
    with pipeline.load(["shop.test"], rate=40, worker=EAST) as east:
        pipeline.wait(lambda: east.report().requests > 10, "load")
        pipeline.sim.set_labels("shop", {PREFIX + "service_cluster": "west"})

        def moved() -> bool:
            clusters = {route.cluster for route in pipeline.routes() if route.host == "shop.test"}
            assert clusters, "the service is in no cluster"
            return clusters == {"west"}

        pipeline.wait(moved, "it is planned in west only")
    pipeline.wait_routed("shop.test", worker=WEST)
    pipeline.wait_unrouted("shop.test", worker=EAST)
    # Until east withdrew it, it answered; what came later got the 503 page.
    assert {failure.what for failure in east.report().failures} <= {"status 503"}


def test_a_service_moves_while_the_watcher_dies(pipeline: Pipeline) -> None:
    pipeline.service("shop", labels={"service_cluster": "east"})
    pipeline.wait_routed("shop.test", worker=EAST)
    with away(pipeline, "watcher"):
        pipeline.sim.set_labels("shop", {PREFIX + "service_cluster": "west"})
    pipeline.wait_routed("shop.test", worker=WEST)
    pipeline.wait_unrouted("shop.test", worker=EAST)


def test_the_last_service_of_a_cluster_removed_while_the_planner_is_down(pipeline: Pipeline) -> None:
    pipeline.service("only", labels={"service_cluster": "east"})
    pipeline.service("other", labels={"service_cluster": "west"})
    pipeline.wait_routed("only.test", worker=EAST)
    pipeline.wait_routed("other.test", worker=WEST)
    with away(pipeline, "planner"):
        pipeline.sim.remove("only")
        key = f"il:{{{REGION}/east}}:services"
        pipeline.wait(
            lambda: not [f for f in pipeline.bus.command("HKEYS", key) if not f.startswith(b"@")], "it is gone"
        )
        assert pipeline.outcome(EAST).hosts == 1  # type: ignore[union-attr]  # the worker lives
    pipeline.wait_unrouted("only.test", worker=EAST)
    assert pipeline.get("other.test", worker=WEST).status == 200
