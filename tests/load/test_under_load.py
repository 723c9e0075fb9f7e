"""What users do all day, under steady load, with the delays of a real Swarm: nothing fails.

A retry by the proxy hides a request that came too late, so it is no evidence. That is: no task was asked after its
SIGTERM (the simulator's truth), and every drain was over before it (the worker's report, against the true SIGTERM).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from interlock.model.outcome import Drain
from support.pipeline import PREFIX, Pipeline
from support.steps import figures

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

RATE = 250.0
"""Requests per second aimed at, so that 200 are held."""
AT_LEAST = 200.0
BEFORE, AFTER = 2.5, 1.0
"""Seconds of load before the change, so that connections have idled for some, and after it."""
HOSTS = ("shop.test", "blog.test")
ON_ITS_WAY = 0.1
"""Seconds in which a request that the proxy had taken before it let go reaches its task, on a busy machine."""
WATCHED_WITHIN = 0.6
"""Seconds within which the watcher is to have seen a task's desired state turn, on a busy machine."""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Pipeline(tmp_path_factory.mktemp("load"), profile="real") as pipeline:
        # The monitor period of an update is not what this is about.
        quick = {"Monitor": 100_000_000, "Parallelism": 1}
        pipeline.service("shop", replicas=2, update_config=quick)
        pipeline.service("blog", replicas=2, update_config=quick)
        pipeline.wait_effective("shop", "blog")
        yield pipeline


@contextmanager
def nothing_fails(pipeline: Pipeline, what: str, *, drained: int) -> Iterator[None]:
    """Load on both hosts around a change of `shop`; `drained`: how many tasks it must have let go."""
    before = {task["ID"] for task in pipeline.sim.docker_tasks()}
    seen = set(_drains(pipeline))
    with pipeline.load(HOSTS, rate=RATE) as load:
        began = time.monotonic()
        _run(pipeline, BEFORE)
        yield
        _run(pipeline, AFTER)
        rate = load.report().requests / (time.monotonic() - began)
    report = load.report()
    drains = {task: drain for task, drain in _drains(pipeline).items() if task not in seen}
    truths = {truth["task_id"]: truth for truth in pipeline.sim.tasks()}
    margins = [truths[task]["sigterm"] - drain.let_go_at for task, drain in drains.items()]
    lags = [drain.desired_at - truths[task]["desired_off"] for task, drain in drains.items()]
    more = f"{rate:.0f}/s · {len(drains)} drained" + (
        f", the last let go {min(margins):.2f} s before its SIGTERM, seen within {max(lags) * 1000:.0f} ms"
        if drains
        else ""
    )
    print(f"\n{figures(what, report, more)}")
    assert report.failed == 0, report.failures[:5]
    assert rate >= AT_LEAST
    assert report.posts * 3 >= report.requests
    assert report.kept_alive * 2 >= report.requests
    assert report.after_idle > 0
    for task, truth in truths.items():
        assert truth["after_sigterm"] == [], f"task {task} was asked after its SIGTERM"
        assert truth["cut"] == 0, f"task {task} ended with requests in flight"
    assert len(drains) == drained
    assert {task for task in before if truths[task]["sigterm"]} >= drains.keys()
    for task, drain in drains.items():
        truth = truths[task]
        assert drain.margin > 0, drain
        assert drain.let_go_at < truth["sigterm"], drain
        assert -0.01 <= drain.desired_at - truth["desired_off"] < WATCHED_WITHIN, (drain, truth)
        # The worker's word, by the tasks' own: once it has let go, nothing new comes.
        late = [at for at in truth["after_desired"] if at > drain.let_go_at + ON_ITS_WAY]
        assert late == [], f"{task} was asked {late[0] - drain.let_go_at:.3f} s after it was let go"


def _drains(pipeline: Pipeline) -> dict[str, Drain]:
    outcome = pipeline.outcome()
    assert outcome is not None
    assert outcome.drain_misses == 0
    return {drain.task: drain for drain in outcome.drains}


def _run(pipeline: Pipeline, seconds: float) -> None:
    """Let the load go on for a while; everything must stay effective."""
    until = time.monotonic() + seconds
    pipeline.wait(lambda: time.monotonic() > until, "time passes", timeout=seconds + 5)


def test_scale_up(installation: Pipeline) -> None:
    with nothing_fails(installation, "scale 2 → 5", drained=0):
        installation.sim.scale("shop", 5)
        installation.wait_effective("shop")


def test_scale_down(installation: Pipeline) -> None:
    with nothing_fails(installation, "scale 5 → 2", drained=3):
        installation.sim.scale("shop", 2)
        installation.wait_effective("shop")


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_rolling_update(installation: Pipeline, order: str) -> None:
    with nothing_fails(installation, f"rolling update, {order}", drained=2):
        installation.sim.update("shop", env={"APP_VERSION": order}, order=order)
        installation.wait_effective("shop", timeout=60)
    assert installation.get("shop.test").headers["x-version"] == order


def test_rolling_update_whose_tasks_listen_late(installation: Pipeline) -> None:
    """Running is not listening: two tasks that each refuse once would cost seconds of 502."""
    with nothing_fails(installation, "rolling update, start-first, listening 1 s late", drained=2):
        installation.sim.update("shop", env={"APP_VERSION": "late", "SIM_START_DELAY": "1"}, order="start-first")
        installation.wait_effective("shop", timeout=60)


def test_label_changes(installation: Pipeline) -> None:
    """Hosts added and removed, a context root and back, a bad label of a neighbour: eight changes."""
    sim = installation.sim
    name = PREFIX + "hosts"
    changes: list[tuple[dict[str, str | None], Callable[[], object]]] = [
        ({name: "shop.test,store.test"}, lambda: installation.wait_routed("store.test")),
        ({name: "shop.test"}, lambda: installation.wait_unrouted("store.test")),
        ({PREFIX + "nonsense": "x"}, lambda: installation.wait(installation.status, "told")),
        ({PREFIX + "nonsense": None}, lambda: installation.wait(installation.status, "told")),
    ]
    installation.service("neighbour", labels={"port": "http"})
    try:
        with nothing_fails(installation, "eight label changes", drained=0):
            for labels, effective in [*changes, *changes]:
                sim.set_labels("shop", labels)
                effective()
                installation.wait_effective("shop", "blog")
    finally:
        sim.remove("neighbour")
