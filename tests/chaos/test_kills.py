"""kill -9 of every part under load, in quiet and during a rolling update; the part is started again a second later.

Nothing fails but, for nginx, what was in flight and what arrived until its worker has started it again. Then all
converges unaided to what the Swarm has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from support.pipeline import Pipeline
from support.steps import failed_between, figures, kill_nginx

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

RATE = 220.0
HOSTS = ("shop.test", "blog.test")
AWAY = 1.0
"""Seconds until a killed part is started again."""
NGINX_BACK_WITHIN = 1.0
"""Seconds; the issue names it."""
PARTS = ("watcher", "planner", "extension", "nginx", "bus", "bus without its data")

Follows = Callable[[Pipeline], None]


def kill_and_start(pipeline: Pipeline, part: str) -> float:
    """Kill a part, start it again after a while; when it was killed (Unix seconds)."""
    at = time.time()
    if part == "nginx":
        kill_nginx(pipeline)
        return at
    name = part.partition(" ")[0]
    pipeline.kill(name)
    time.sleep(AWAY)
    pipeline.start(name, fresh=name != part)
    return at


@contextmanager
def judged(pipeline: Pipeline, what: str, part: str) -> Iterator[list[float]]:
    """Load on both hosts; into the list goes the time of the kill."""
    killed: list[float] = []
    with pipeline.load(HOSTS, rate=RATE) as load:
        pipeline.wait(lambda: load.report().requests > RATE / 2, "the load is up")
        yield killed
    report = load.report()
    between = failed_between(report)
    window = "" if between is None else f"failures from {between[0] - killed[0]:.3f} to {between[1] - killed[0]:.3f} s"
    print(f"\n{figures(f'{what}: kill -9 {part}', report, window)}")
    assert report.posts * 3 >= report.requests
    assert report.kept_alive * 2 >= report.requests
    if part != "nginx":
        assert report.failed == 0, report.failures[:5]
    elif between is not None:
        assert min(failure.at for failure in report.failures) >= killed[0]
        assert between[1] - killed[0] < NGINX_BACK_WITHIN, f"{window}: {report.failures[-3:]}"


@pytest.mark.parametrize("part", PARTS)
def test_in_quiet(installation: Pipeline, follows: Follows, part: str) -> None:
    with judged(installation, "in quiet", part) as killed:
        killed.append(kill_and_start(installation, part))
        follows(installation)


@pytest.mark.parametrize("part", PARTS)
def test_during_a_rolling_update(installation: Pipeline, follows: Follows, part: str) -> None:
    """The kill falls between the first task's replacement and the last one's."""
    sim = installation.sim
    before = {task["ID"] for task in sim.docker_tasks("shop") if task["DesiredState"] == "running"}
    order = ("stop-first", "start-first")[PARTS.index(part) % 2]

    def under_way() -> bool:
        return any(task["ID"] in before and task["DesiredState"] != "running" for task in sim.docker_tasks("shop"))

    with judged(installation, f"during a rolling update ({order})", part) as killed:
        sim.update("shop", env={"APP_VERSION": f"{part} {order}"}, order=order)
        installation.wait(under_way, "the first task is being replaced")
        killed.append(kill_and_start(installation, part))
        follows(installation)
    live = {task["ID"] for task in sim.docker_tasks("shop") if task["DesiredState"] == "running"}
    assert len(live) == 2
    assert not live & before
    assert installation.get("shop.test").headers["x-version"] == f"{part} {order}"
