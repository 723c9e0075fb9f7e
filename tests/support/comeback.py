"""kill -9 of HAProxy, of its worker, and of both: it comes back as it was, whatever it was told since its start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from interlock.model.outcome import Outcome
from interlock.runtime.process import Identity
from support.changes import STEADY, Changes
from support.haproxy_state import state_of
from support.pipeline import Pipeline
from support.proxies import HAPROXY, LOAD_PATH, NGINX
from support.same_answers import asked_of, sticking

Kill = Callable[[Pipeline], None]

_NEXT = 8
"""Changes after it has come back."""

WORKER, MASTER = "extension-2", "haproxy-2"


def killed_and_back(pipeline: Pipeline, changes: Changes, kill: Kill) -> None:
    """Asserts that what runs, what it answers and who is stuck to whom are the same; nginx beside it notices nothing.

    And that it goes on from there: what is changed next needs no reload. Everything of `changes` must be in effect.
    """
    told = pipeline.outcome(HAPROXY)
    assert told is not None
    state, answers = state_of(_folder(pipeline)), asked_of(pipeline, HAPROXY, changes)
    stuck, process = sticking(pipeline, HAPROXY, changes), pipeline.identities()[MASTER]
    hosts = [f"{name}.test" for name in STEADY]
    with pipeline.load(hosts, rate=100, path=LOAD_PATH, worker=NGINX) as beside:
        kill(pipeline)
        pipeline.wait(lambda: state_of(_folder(pipeline)).meaning == state.meaning, "it is as it was", timeout=20)
        pipeline.wait(lambda: _tells(pipeline, told, kill), "its worker tells so", timeout=20)
        pipeline.wait_effective(*changes.services, timeout=60)
        after = state_of(_folder(pipeline))
        assert after.meaning == state.meaning
        assert after.cookies <= state.cookies
        assert asked_of(pipeline, HAPROXY, changes) == answers == asked_of(pipeline, NGINX, changes)
        again = sticking(pipeline, HAPROXY, changes)
        assert {name: again[name] for name, task in stuck.items() if task} == {n: t for n, t in stuck.items() if t}
    assert beside.report().failures == ()
    assert (pipeline.identities()[MASTER] == process) is (kill is kill_extension)
    back = pipeline.outcome(HAPROXY)
    for _ in range(_NEXT):
        changes.one()
    pipeline.wait_effective(*changes.services, timeout=60)
    assert back is not None
    # What the control counts is told once a second.
    now = pipeline.wait(lambda: _further(pipeline, back), "what was changed next was changed in place")
    assert now.counters["reloads"] == back.counters["reloads"] or "no spare backend" in now.reason, now.reason
    assert asked_of(pipeline, HAPROXY, changes) == asked_of(pipeline, NGINX, changes)


def _further(pipeline: Pipeline, back: Outcome) -> Outcome | None:
    now = pipeline.outcome(HAPROXY)
    return now if now and now.counters["updates"] > back.counters["updates"] else None


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


KILLS: tuple[Kill, ...] = (kill_master, kill_worker_process, kill_extension, kill_both)
