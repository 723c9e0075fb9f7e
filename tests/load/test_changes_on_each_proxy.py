"""200 changes of every kind in 10 s, with nginx and HAProxy in one service cluster, both under load all the while.

Nothing fails on either: no request, no websocket, no download; HAProxy makes every one of them in place.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.comeback import KILLS, Kill, killed_and_back
from support.pipeline import Pipeline
from support.proxies import HAPROXY, NGINX, STEADY, Changes, both, changed_under_load
from support.same_answers import asked_of

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

SEED = 20_261


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with both(tmp_path_factory.mktemp("both")) as pipeline:
        yield pipeline


def test_nothing_fails_and_haproxy_is_never_reloaded(installation: Pipeline) -> None:
    changes = Changes(installation, SEED)
    report = changed_under_load(installation, changes, number=200, seconds=10.0)
    print(f"\n{report}")
    report.judge()
    assert report.seconds < 15
    assert report.counted(HAPROXY, "reloads") == 0, report.reloads
    assert report.counted(HAPROXY, "updates") > 0
    assert asked_of(installation, NGINX, changes) == asked_of(installation, HAPROXY, changes)
    changes.clear()
    installation.wait_effective(*STEADY, timeout=60)


@pytest.mark.parametrize("kill", KILLS)
def test_haproxy_comes_back_as_it_was(installation: Pipeline, kill: Kill) -> None:
    """Also what it was told since its start."""
    changes = Changes(installation, SEED + 1, prefix=kill.__name__.replace("_", "-"), most_new=4)
    before = installation.outcome(HAPROXY)
    for _ in range(30):
        changes.one()
    installation.wait_effective(*changes.services, timeout=60)
    told = installation.outcome(HAPROXY)
    assert before is not None
    assert told is not None
    assert told.counters["updates"] > before.counters["updates"]
    killed_and_back(installation, changes, kill)
    changes.clear()
    installation.wait_effective(*STEADY, timeout=60)
