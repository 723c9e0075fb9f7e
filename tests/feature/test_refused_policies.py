"""What nginx itself refuses: the last accepted policy stays, for new proxies too; endpoints and neighbours go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.bus.held import HeldPolicies
from interlock.model.names import Cluster
from interlock.model.problem import Problem
from interlock_demo.installation import REGION
from support.pipeline import PREFIX, Pipeline
from support.refusing_extension import COOKIE, installed
from support.steps import asked, away, interlock_json, planner_problems, with_planner_metrics

STICKY = PREFIX + "sticky_session_cookie"
ROOT = PREFIX + "context_root"


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that makes workers refuse while it is there."""
    folder = tmp_path_factory.mktemp("plugin")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in installed(folder).items():
            patch.setenv(name, value)
        yield folder / "refusing"


@pytest.fixture(scope="module")
def both(refusing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    extension = ("--extension", "refusing")
    with Pipeline(
        tmp_path_factory.mktemp("refused"), workers=2, extension=extension, planner=with_planner_metrics()
    ) as pipeline:
        yield pipeline


@pytest.fixture
def pipeline(both: Pipeline, refusing: Path) -> Iterator[Pipeline]:
    yield both
    refusing.touch()
    both.sim.reset()
    both.wait(lambda: not both.routes(), "nothing is planned any more")
    if "extension-2" not in both.processes:
        both.start("extension-2")


def refusals(pipeline: Pipeline) -> list[Problem]:
    return [p for cluster in pipeline.status().clusters for p in cluster.problems if p.code == "refused"]


def until_refused(pipeline: Pipeline, *services: str) -> None:
    pipeline.wait(
        lambda: {p.service for p in refusals(pipeline)} == set(services),
        lambda: f"a refusal of {services} is told: {pipeline.status().clusters}",
    )


def statuses(pipeline: Pipeline, host: str, path: str, worker: int = 0) -> set[int]:
    return {pipeline.get(host, path, worker=worker).status for _ in range(10)}


def test_a_refused_policy_is_held_for_all_proxies_while_everything_else_goes_on(pipeline: Pipeline) -> None:
    pipeline.service("shop", replicas=2, labels={"context_root": "/a"})
    pipeline.service("blog", replicas=2)
    pipeline.stop("extension-2")
    pipeline.wait_effective("shop", "blog")
    with (
        pipeline.load(["blog.test"], rate=60) as neighbour,
        pipeline.load(["shop.test"], rate=60, path="/a/load") as held,
    ):
        # The service moves, and nginx does not take what it asks for there.
        pipeline.sim.set_labels("shop", {ROOT: "/b", STICKY: COOKIE})
        until_refused(pipeline, "shop")
        # Held is policy, never addresses.
        pipeline.sim.scale("shop", 4)
        pipeline.wait_effective("shop")
        assert len(asked(pipeline, "shop.test", 60, "/a")) == 4
        assert statuses(pipeline, "shop.test", "/b") == {404}
        # A proxy that knows nothing of the past.
        pipeline.start("extension-2", fresh=True)
        pipeline.wait_routed("shop.test", "/a", worker=1)
        assert statuses(pipeline, "shop.test", "/b", worker=1) == {404}
        outcome = pipeline.outcome(1)
        assert outcome is not None
        assert outcome.rejections == ()
        # Neighbours change as they like.
        pipeline.sim.scale("blog", 3)
        pipeline.sim.set_labels("blog", {PREFIX + "hosts": "blog.test,news.test"})
        pipeline.wait_effective("blog", "shop")
        pipeline.wait_routed("news.test", worker=1)
        # Another planner knows it from the bus alone.
        with away(pipeline, "planner"):
            pipeline.sim.scale("shop", 2)
        pipeline.wait_effective("shop")
        until_refused(pipeline, "shop")
        assert len(asked(pipeline, "shop.test", 40, "/a")) == 2
        # Rolled while it is held: its tasks are drained as ever.
        pipeline.sim.change("shop", lambda spec: spec["TaskTemplate"].update(ForceUpdate=1))
        pipeline.wait_effective("shop")
    assert neighbour.report().failed == 0, neighbour.report()
    assert held.report().failed == 0, held.report()

    (problem,) = [p for p in interlock_json(pipeline, "status")["clusters"][0]["problems"] if p["code"] == "refused"]
    assert problem["service"] == "shop"
    assert "a_directive_that_nginx_does_not_know" in problem["reason"]
    pipeline.wait(lambda: planner_problems(pipeline).get(("refused", "error")) == 1, "the metric tells it")

    # Its remedy: change what nginx does not take.
    pipeline.sim.set_labels("shop", {STICKY: "session"})
    pipeline.wait_routed("shop.test", "/b")
    pipeline.wait_routed("shop.test", "/b", worker=1)
    assert refusals(pipeline) == []
    pipeline.wait(lambda: planner_problems(pipeline).get(("refused", "error")) == 0, "the metric tells it")
    assert statuses(pipeline, "shop.test", "/a") == {404}
    pipeline.wait(lambda: not HeldPolicies(pipeline.bus, Cluster(REGION, "")).read(), "nothing is held")


def test_a_host_that_was_served_for_a_moment_outlives_who_joins_it_with_what_is_refused(pipeline: Pipeline) -> None:
    """The planner has not heard yet that it was accepted; the newcomer is refused only once its tasks answer."""
    pipeline.service("shop", replicas=2)
    pipeline.wait_routed("shop.test")
    pipeline.wait_routed("shop.test", worker=1)
    with pipeline.load(["shop.test"], rate=60) as load:
        pipeline.service("api", labels={"hosts": "shop.test", "context_root": "/api", "sticky_session_cookie": COOKIE})
        pipeline.wait(lambda: "api" in {p.service for p in refusals(pipeline)}, "a refusal is told")
        time.sleep(1)
        assert statuses(pipeline, "shop.test", "/") == statuses(pipeline, "shop.test", "/", worker=1) == {200}
    assert load.report().failed == 0, load.report()
    until_refused(pipeline, "api")
    assert "held" in refusals(pipeline)[0].reason


def test_the_label_that_is_to_blame_is_named_and_who_else_is_concerned(pipeline: Pipeline) -> None:
    pipeline.service("shop")
    pipeline.service("api", labels={"hosts": "shop.test", "context_root": "/api"})
    pipeline.wait_effective("shop", "api")
    pipeline.sim.set_labels("api", {STICKY: COOKIE})
    until_refused(pipeline, "api")
    (problem,) = refusals(pipeline)
    assert (problem.key, problem.value, problem.concerned) == (STICKY, COOKIE, ("shop",))
    # The other service of the host serves and scales on, and so does this one.
    pipeline.sim.scale("shop", 2)
    pipeline.sim.scale("api", 2)
    pipeline.wait_effective("shop", "api")
    assert len(asked(pipeline, "shop.test", 20)) == 2
    assert len(asked(pipeline, "shop.test", 20, "/api")) == 2


def test_a_new_host_that_is_refused_answers_503_and_no_other_answers_for_it(pipeline: Pipeline) -> None:
    pipeline.service("any", labels={"hosts": "any.test", "default_backend": "true"})
    pipeline.wait_routed("nobody.test")
    pipeline.service("shop", labels={"sticky_session_cookie": COOKIE})
    until_refused(pipeline, "shop")
    pipeline.wait(lambda: statuses(pipeline, "shop.test", "/") == {503}, "its host is claimed")
    pipeline.wait(lambda: statuses(pipeline, "shop.test", "/", worker=1) == {503}, "its host is claimed")
    assert pipeline.get("nobody.test").headers["x-service"] == "any"
    pipeline.sim.set_labels("shop", {STICKY: None})
    pipeline.wait_routed("shop.test")
    assert refusals(pipeline) == []


def test_what_changed_at_no_replicas_is_held_when_it_is_scaled_up_and_refused(pipeline: Pipeline) -> None:
    """Without endpoints nginx is given a 503, so that every proxy runs what none has tried."""
    pipeline.service("shop", replicas=1, labels={"context_root": "/a"})
    pipeline.wait_effective("shop")
    pipeline.wait(lambda: not HeldPolicies(pipeline.bus, Cluster(REGION, "")).read(), "it is accepted")
    pipeline.sim.scale("shop", 0)
    pipeline.wait_effective("shop")
    pipeline.sim.set_labels("shop", {ROOT: "/b", STICKY: COOKIE})
    pipeline.service("new", labels={"sticky_session_cookie": COOKIE}, replicas=0)
    pipeline.wait_effective("shop", "new")
    pipeline.wait(lambda: statuses(pipeline, "shop.test", "/b") == {503}, "nobody is there")
    assert refusals(pipeline) == []
    pipeline.sim.scale("shop", 1)
    pipeline.sim.scale("new", 1)
    until_refused(pipeline, "shop", "new")
    reasons = {p.service: p.reason for p in refusals(pipeline)}
    assert "last accepted configuration is held" in reasons["shop"]
    assert "answers 503" in reasons["new"]
    pipeline.wait(lambda: statuses(pipeline, "shop.test", "/a") == {200}, "the old path serves")


def test_proxies_that_are_mended_and_restarted_end_the_hold_without_the_service(
    pipeline: Pipeline, refusing: Path
) -> None:
    pipeline.service("shop", labels={"context_root": "/a"})
    pipeline.wait_effective("shop")
    pipeline.sim.set_labels("shop", {ROOT: "/b", STICKY: COOKIE})
    until_refused(pipeline, "shop")
    refusing.unlink()
    for name in ("extension", "extension-2"):
        pipeline.stop(name)
        pipeline.start(name)
    pipeline.wait_routed("shop.test", "/b", timeout=30)
    pipeline.wait_routed("shop.test", "/b", worker=1)
    assert refusals(pipeline) == []
