"""200 changes of every kind in 10 s, with nginx and HAProxy in one service cluster, both under load all the while.

Nothing fails on either: no request, no websocket, no download; HAProxy makes every one of them in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.model.outcome import Outcome
from interlock.runtime.process import Identity
from support.haproxy_state import state_of
from support.pipeline import Pipeline
from support.proxies import HAPROXY, NGINX, STEADY, Changes, both, changed_under_load
from support.same_answers import asked_of, sticking

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

Kill = Callable[[Pipeline], None]

SEED = 20_261
WORKER, MASTER = "extension-2", "haproxy-2"


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


def _folder(pipeline: Pipeline) -> Path:
    return pipeline.folder / "state" / pipeline.installation.workers[HAPROXY] / "haproxy"


def _everyone(pipeline: Pipeline) -> list[Identity]:
    return [identity for name, identity in pipeline.identities().items() if name.startswith("haproxy")]


def kill_master(pipeline: Pipeline) -> None:
    """Its worker process goes by itself."""
    everyone = _everyone(pipeline)
    pipeline.kill(MASTER)
    pipeline.wait(lambda: not any(identity.alive() for identity in everyone), "no HAProxy is left")


def kill_worker_process(pipeline: Pipeline) -> None:
    """The master alone serves nobody."""
    pipeline.identities()
    for name in [name for name in pipeline.processes if name.startswith(f"{MASTER} worker")]:
        pipeline.kill(name)


def kill_extension(pipeline: Pipeline) -> None:
    """HAProxy stays, and its next worker adopts it."""
    pipeline.kill(WORKER)
    pipeline.start(WORKER)


def kill_both(pipeline: Pipeline) -> None:
    """Nothing of either is left but the disk."""
    pipeline.kill(WORKER)
    kill_master(pipeline)
    pipeline.start(WORKER)


def _tells(pipeline: Pipeline, told: Outcome, kill: Kill) -> bool:
    """How HAProxy has come back: by a start, or adopted as it ran; never by a reload."""
    now = pipeline.outcome(HAPROXY)
    if now is None or "starts" not in now.counters or (kill in (kill_extension, kill_both)) is (now.run == told.run):
        return False
    before = told.counters if now.run == told.run else {"starts": 0.0, "reloads": 0.0}
    starts, reloads = (now.counters[name] - before[name] for name in ("starts", "reloads"))
    assert reloads == 0, now.reason
    return starts == (kill is not kill_extension)


@pytest.mark.parametrize("kill", [kill_master, kill_worker_process, kill_extension, kill_both])
def test_haproxy_comes_back_as_it_was(installation: Pipeline, kill: Kill) -> None:
    """Also what it was told since its start; nginx beside it notices nothing."""
    changes = Changes(installation, SEED + 1, prefix=kill.__name__.replace("_", "-"), most_new=4)
    before = installation.outcome(HAPROXY)
    for _ in range(30):
        changes.one()
    installation.wait_effective(*changes.services, timeout=60)
    told = installation.outcome(HAPROXY)
    assert before is not None
    assert told is not None
    assert told.counters["updates"] > before.counters["updates"]
    state, answers = state_of(_folder(installation)), asked_of(installation, HAPROXY, changes)
    stuck, process = sticking(installation, HAPROXY, changes), installation.identities()[MASTER]
    hosts = [f"{name}.test" for name in STEADY]
    with installation.load(hosts, rate=100, path="/load/x", worker=NGINX) as beside:
        kill(installation)
        installation.wait(
            lambda: state_of(_folder(installation)).meaning == state.meaning, "HAProxy is as it was", timeout=20
        )
        installation.wait(lambda: _tells(installation, told, kill), "its worker tells so", timeout=20)
        installation.wait_effective(*changes.services, timeout=60)
        after = state_of(_folder(installation))
        assert after.meaning == state.meaning
        assert after.cookies <= state.cookies
        assert asked_of(installation, HAPROXY, changes) == answers == asked_of(installation, NGINX, changes)
        again = sticking(installation, HAPROXY, changes)
        assert {name: task for name, task in again.items() if stuck[name]} == {n: t for n, t in stuck.items() if t}
    assert beside.report().failures == ()
    assert (installation.identities()[MASTER] == process) is (kill is kill_extension)
    changes.clear()
    installation.wait_effective(*STEADY, timeout=60)
