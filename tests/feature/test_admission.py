"""Running is not listening: who gets requests while tasks start and stop.

All stories run at once in an installation of their own, where SIGTERM comes as late as it does in a real Swarm; each
test looks at one of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from interlock_demo.load import LoadReport
from support.pipeline import Pipeline

SIGTERM_AFTER = 2.5
LISTENS_AFTER = 1.5
STORIES = ("grown", "handed", "replaced", "broken")

Json = dict[str, Any]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[LoadReport, list[Json]]]]:
    """Service → what its clients saw, and the truth about its tasks."""
    shape = {"simulator": ("--sigterm-delay-overlay", str(SIGTERM_AFTER))}
    with Pipeline(tmp_path_factory.mktemp("admission"), **shape) as pipeline:  # type: ignore[arg-type]  # its options
        yield _tell(pipeline)


def _tell(pipeline: Pipeline) -> dict[str, tuple[LoadReport, list[Json]]]:
    for name in STORIES:
        pipeline.service(name)
    pipeline.wait_effective(*STORIES)
    loads = {name: pipeline.load([f"{name}.test"], rate=40).start() for name in STORIES}
    late = {"SIM_START_DELAY": str(LISTENS_AFTER)}
    for name in ("replaced", "broken"):
        pipeline.sim.fault("never_listen", service=name)
    # Two more tasks that listen late: a service of its own on the same host.
    pipeline.service("late", replicas=2, labels={"hosts": "grown.test"}, env=late)
    pipeline.sim.update("handed", env={"APP_VERSION": "2", **late}, order="start-first")
    pipeline.sim.update("replaced", env={"APP_VERSION": "2"}, order="stop-first")
    pipeline.sim.update("broken", env={"APP_VERSION": "2"}, order="start-first")
    pipeline.sim.wait_converged("handed")
    pipeline.sim.wait_converged("late")
    pipeline.wait(
        lambda: all(_first(pipeline, name)["sigterm"] for name in STORIES[1:]), "every old task was signalled"
    )
    time.sleep(0.3)  # requests to what is gone, if somebody sends them
    reports = {name: load.stop() for name, load in loads.items()}
    story = {name: (reports[name], pipeline.sim.tasks(name)) for name in STORIES}
    story["late"] = (reports["grown"], pipeline.sim.tasks("late"))
    # Heals once what is started listens again.
    pipeline.sim.clear()
    for name in ("replaced", "broken"):
        pipeline.sim.update(name, env={"APP_VERSION": "3"}, force=True)
        pipeline.wait(lambda name=name: pipeline.get(f"{name}.test").headers.get("x-version") == "3", f"{name} heals")  # type: ignore[misc]
    return story


def _first(pipeline: Pipeline, service: str) -> Json:
    return min(pipeline.sim.tasks(service), key=lambda truth: truth["created"])


Told = dict[str, tuple[LoadReport, list[Json]]]


def test_a_task_that_does_not_listen_yet_gets_no_request(told: Told) -> None:
    report, tasks = told["late"]
    assert len(tasks) == 2
    for task in tasks:
        assert task["listening"] - task["running"] > LISTENS_AFTER - 0.2
        assert task["requests"] > 0, "it was never admitted"
    # Had one been asked while it did not listen, the proxy would have had to ask another.
    assert (report.failed, report.proxy_retries) == (0, 0), report.failures[:5]


def test_the_only_task_serves_until_its_successor_listens(told: Told) -> None:
    report, tasks = told["handed"]
    old, new = sorted(tasks, key=lambda truth: truth["created"])
    assert old["after_desired"], "the old one was let go before the new one listened"
    assert max(old["after_desired"]) > new["listening"] - 0.2
    # Then it is let go, long before its end.
    assert max(old["after_desired"]) < old["sigterm"]
    assert new["requests"] > 0
    assert report.failed == 0, report.failures[:5]


@pytest.mark.parametrize("name", ["replaced", "broken"])
def test_the_last_one_that_accepts_is_kept_until_its_very_end(told: Told, name: str) -> None:
    """Single replica, stop-first and start-first, whose successor never listens."""
    report, tasks = told[name]
    old = min(tasks, key=lambda truth: truth["created"])
    assert max(old["after_desired"]) > old["sigterm"] - 0.5
    assert [f for f in report.failures if f.at < old["sigterm"]] == []
    assert report.failures, "nothing serves after the end: this test would not see a failure"
    assert not [truth for truth in tasks if truth["requests"] and truth is not old]
