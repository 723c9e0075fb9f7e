"""An nginx and an HAProxy of one deployment under changes of every kind: what goes through them and must not be harmed.

with both(tmp_path) as pipeline:
    report = changed_under_load(pipeline, Changes(pipeline, seed=7), number=200, seconds=10.0)
    report.judge()
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from websockets.sync.client import ClientConnection

from interlock.model.outcome import Drain, Outcome
from interlock_demo.load import LoadReport
from support.changes import DOWNLOADED, STEADY, TALKING, UNDER_LOAD, Changes
from support.pipeline import KINDS, Pipeline
from support.steps import figures
from support.websocket import opened

NGINX, HAPROXY = (KINDS.index(kind) for kind in ("nginx", "haproxy"))
"""The workers by number."""

RATE = 120.0
"""Requests per second aimed at on each proxy."""
BEFORE, AFTER = 2.0, 1.0
"""Seconds of load before the first change and after the last has come into effect."""
LINKS, DOWNLOADS = 3, 3
"""Websockets and downloads through each proxy."""
BYTES = 300_000
LOAD_PATH = "/load/x"
"""Below the context roots that services under load get."""


@contextmanager
def both(tmp_path: Path) -> Iterator[Pipeline]:
    """One deployment with one proxy of each kind, the services of `Changes` in effect. With a real Swarm's delays."""
    with Pipeline(tmp_path, profile="real", workers=len(KINDS), kinds=KINDS, nodes=2) as pipeline:
        Changes.prepare(pipeline)
        yield pipeline


class Download:
    """A long answer that arrives slowly through the proxy of a worker. `key`: names its request."""

    def __init__(self, pipeline: Pipeline, worker: int, key: str, seconds: float) -> None:
        self.key, self.worker = key, worker
        self.task = ""
        self.size = 0
        self.failed = ""
        self.ended_at = 0.0
        self._begun = threading.Event()
        target = f"/?bytes={BYTES}&seconds={seconds:g}&key={key}"
        self._thread = threading.Thread(target=self._run, args=(pipeline.ports[worker], target), daemon=True)
        self._thread.start()
        assert self._begun.wait(10), f"download {key} does not begin"

    def _run(self, port: int, target: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", target, headers={"Host": f"{DOWNLOADED}.test"})
            answer = connection.getresponse()
            self.task = answer.headers.get("x-task", "")
            self._begun.set()
            while piece := answer.read1(65_536):
                self.size += len(piece)
        except (OSError, http.client.HTTPException) as error:
            self.failed = f"{type(error).__name__}: {error}"
        finally:
            self.ended_at = time.time()
            self._begun.set()
            connection.close()

    def wait(self, timeout: float) -> None:
        """Until it has ended, well or not."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"download {self.key} does not end"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `changed_under_load` has seen. By worker: `loads`, `before` and `after` (outcomes)."""

    done: Counter[str]
    seconds: float
    last_at: float
    loads: tuple[LoadReport, ...]
    before: tuple[Outcome, ...]
    after: tuple[Outcome, ...]
    drains: tuple[Drain, ...]
    downloads: tuple[tuple[str, str, int, str, float], ...]
    """Key, task, bytes, how it failed, end (Unix seconds)."""
    asked: dict[str, list[str]]
    """Which tasks saw a download's key."""
    truths: tuple[dict[str, Any], ...]
    reloads: dict[str, int]
    """HAProxy's, by reason."""

    def counted(self, worker: int, name: str) -> int:
        """By how much a proxy's counter has grown."""
        return int(self.after[worker].counters[name] - self.before[worker].counters[name])

    def __str__(self) -> str:
        lines = [f"{sum(self.done.values())} changes in {self.seconds:.1f} s: {dict(self.done)}"]
        for worker, kind in enumerate(KINDS):
            more = f"{self.counted(worker, 'reloads')} reloads"
            if worker == HAPROXY:
                counters = self.after[worker].counters
                spares = f"{counters['spares_rr']:.0f} and {counters['spares_hash']:.0f} spares left"
                more += f" {self.reloads or ''}, {self.counted(worker, 'updates')} updates in place, {spares}"
            lines.append(figures(kind, self.loads[worker], more))
        margins = [drain.margin for drain in self.drains]
        lines.append(f"{len(margins)} drains" + (f", the least margin {min(margins):.2f} s" if margins else ""))
        return "\n".join(lines)

    def judge(self) -> None:
        """Nothing has failed, on either proxy. The websockets were judged on the way."""
        for kind, load in zip(KINDS, self.loads, strict=True):
            assert load.failures == (), (kind, load.failures[:5])
            assert load.requests > RATE * self.seconds / 2, kind
            assert load.posts * 3 >= load.requests, kind
            assert load.kept_alive * 2 >= load.requests, kind
            assert load.slow_bodies > 0, kind
        for key, task, size, failed, ended_at in self.downloads:
            assert (failed, size) == ("", BYTES), key
            assert self.asked[key] == [task], f"download {key} was asked of {self.asked[key]}, answered by {task}"
            assert ended_at > self.last_at, f"download {key} was over before the last change"
        assert len(self.downloads) == DOWNLOADS * len(KINDS)
        for truth in self.truths:
            assert truth["after_sigterm"] == [], f"task {truth['task_id']} was asked after its SIGTERM"
            assert truth["cut"] == 0, f"task {truth['task_id']} ended with requests in flight"
        for outcome in self.after:
            assert outcome.drain_misses == 0, outcome.proxy
        assert len(self.drains) > 0
        assert all(drain.margin > 0 for drain in self.drains), self.drains
        assert self.after[NGINX].version == self.after[HAPROXY].version


def changed_under_load(pipeline: Pipeline, changes: Changes, *, number: int, seconds: float) -> Report:
    """So many changes within so many seconds, while both proxies have load, websockets and downloads; all in effect."""
    before = _outcomes(pipeline)
    told = {(o.proxy, o.at) for o in pipeline.outcome_log()}
    with ExitStack() as stack:
        links = [
            (kind, stack.enter_context(opened(pipeline.ports[worker], f"{TALKING}.test", "/ws")))
            for worker, kind in enumerate(KINDS)
            for _ in range(LINKS)
        ]
        downloads = [
            Download(pipeline, worker, f"{kind}-{n}-{time.time_ns()}", seconds * 2)
            for worker, kind in enumerate(KINDS)
            for n in range(DOWNLOADS)
        ]
        hosts = [f"{name}.test" for name in UNDER_LOAD]
        loads = [
            stack.enter_context(pipeline.load(hosts, rate=RATE, worker=worker, path=LOAD_PATH, seed=changes.seed))
            for worker in range(len(KINDS))
        ]
        time.sleep(BEFORE)
        began = time.monotonic()
        for turn in range(number):
            time.sleep(max(0.0, began + turn * seconds / number - time.monotonic()))
            changes.one()
            if turn % 20 == 0:
                _echo(links, str(turn))
        took, last_at = time.monotonic() - began, time.time()
        pipeline.wait_effective(*changes.services, timeout=60)
        time.sleep(AFTER)
        for load in loads:
            load.stop()
        for download in downloads:
            download.wait(seconds * 3)
        _echo(links, "still here")
    after = _outcomes(pipeline)
    fresh = [o for o in pipeline.outcome_log() if (o.proxy, o.at) not in told]
    return Report(
        done=changes.taken(),
        seconds=took,
        last_at=last_at,
        loads=tuple(load.report() for load in loads),
        before=before,
        after=after,
        drains=tuple(drain for o in after for drain in o.drains if drain.let_go_at > last_at - took),
        downloads=tuple((d.key, d.task, d.size, d.failed, d.ended_at) for d in downloads),
        asked=_asked(pipeline, [d.key for d in downloads]),
        truths=tuple(pipeline.sim.tasks()),
        reloads=Counter(o.reason for o in fresh if o.proxy == before[HAPROXY].proxy and o.result == "reloaded"),
    )


def _outcomes(pipeline: Pipeline) -> tuple[Outcome, ...]:
    found = tuple(outcome for worker in range(len(KINDS)) if (outcome := pipeline.outcome(worker)) is not None)
    assert len(found) == len(KINDS)
    return found


def _echo(links: list[tuple[str, ClientConnection]], said: str) -> None:
    for number, (kind, link) in enumerate(links):
        link.send(f"{said} {number}")
        assert link.recv(timeout=5) == f"{said} {number}", f"a websocket through {kind} says something else"


def _asked(pipeline: Pipeline, keys: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {key: [] for key in keys}
    for truth in pipeline.sim.tasks(DOWNLOADED):
        for request in pipeline.sim.requests(truth["task_id"]):
            _, _, key = str(request["target"]).partition("key=")
            if key in found:
                found[key].append(truth["task_id"])
    return found


__all__ = ["HAPROXY", "NGINX", "STEADY", "Changes", "Report", "both", "changed_under_load"]
