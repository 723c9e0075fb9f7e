"""B1: from a task that runs to requests that reach it, every service in a process of its own, on the simulated Swarm.

The clock starts when an independent probe, which lists the service's tasks every 20 ms, first sees the new task
`running`; it ends with the first answer of an unbroken run of right answers on fresh connections. Prints rows for
`docs/benchmarks.md`: in all, by hop, and beside them what nginx's own reload takes on the same machine in the same run.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from interlock.model.outcome import Outcome
from interlock.runtime.parts import find_nginx
from interlock.runtime.process import Process
from support.pipeline import Pipeline, free_ports

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
ROUNDS = int(os.environ.get("B1_ROUNDS", "20"))
UNBROKEN = 0.6
PAIRS = (("Docker", "docker", "seen"), ("bus", "seen", "received"), ("plan", "received", "planned"),
         ("bus and admission", "planned", "applying"), ("nginx", "applying", "effective"))  # fmt: skip


class Round(NamedTuple):
    """One change: milliseconds from running to effective, and by hop."""

    total: float
    hops: dict[str, float]


class TaskProbe(threading.Thread):
    """Lists a service's tasks every 20 ms; notes when each task was first seen running, Unix seconds."""

    def __init__(self, socket_path: Path, service: str) -> None:
        super().__init__(daemon=True)
        self._socket_path, self._service = socket_path, service
        self.running: dict[str, float] = {}
        self.done = threading.Event()

    def run(self) -> None:
        query = json.dumps({"service": {self._service: True}})
        path = (
            f"/v1.41/tasks?filters={query}".replace(" ", "").replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
        )
        connection = http.client.HTTPConnection("docker")
        while not self.done.wait(0.02):
            if connection.sock is None:
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.connect(str(self._socket_path))
            connection.request("GET", path)
            tasks = json.loads(connection.getresponse().read())
            now = time.time()
            for task in tasks if isinstance(tasks, list) else ():
                if task["Status"]["State"] == "running":
                    self.running.setdefault(task["ID"], now)
        connection.close()


def unbroken(ask: Callable[[], bool], within: float = 15.0) -> float:
    """Unix seconds of the first right answer after which none was wrong."""
    deadline = time.monotonic() + within
    since: float | None = None
    while time.monotonic() < deadline:
        right, at = ask(), time.time()
        since = (since or at) if right else None
        if since and at - since > UNBROKEN:
            return since
        time.sleep(0.002)
    raise AssertionError("no unbroken run of right answers")


def answered_by(pipeline: Pipeline, host: str) -> dict[str, str]:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return pipeline.get(host).headers
    return {}


def measured(
    pipeline: Pipeline, name: str, change: Callable[[], object], right: Callable[[dict[str, str]], bool]
) -> Round:
    probe = TaskProbe(pipeline.sim.socket, name)
    before = {task["ID"] for task in pipeline.sim.docker_tasks(name)} if name == "roll" else set()
    change()
    probe.start()
    try:
        effective = unbroken(lambda: right(answered_by(pipeline, f"{name}.test")))
    finally:
        probe.done.set()
        probe.join()
    began = min(at for task, at in probe.running.items() if task not in before)
    outcome = applied(pipeline, effective)
    hops = outcome.hops if outcome else {}
    split = {label: 1000 * (hops[b] - hops[a]) for label, a, b in PAIRS if a in hops and b in hops}
    return Round(1000 * (effective - began), split)


def applied(pipeline: Pipeline, effective: float) -> Outcome | None:
    """The outcome that made it so: the last reload that was effective by then, give or take the probe's own pace."""
    found = [o for o in pipeline.outcome_log() if o.result == "reloaded" and (o.effective_at or 0) <= effective + 0.05]
    return found[-1] if found else None


def row(what: str, values: list[float]) -> str:
    return f"| {what} | {statistics.median(values):.0f} | {min(values):.0f} | {max(values):.0f} | {len(values)} |"


def table(title: str, rounds: list[Round]) -> None:
    print(f"\nB1 {title}, ms\n| | median | min | max | n |\n|---|---|---|---|---|")
    print(row("running to effective", [r.total for r in rounds]))
    for label, *_ in PAIRS:
        if values := [r.hops[label] for r in rounds if label in r.hops]:
            print(row(f"· {label}", values))


def nginx_alone(rounds: int = 20) -> list[float]:
    """What one plain reload takes: SIGHUP to an unbroken run of new answers, by the same rule."""
    [port] = free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="il-b1-"))
    folder.chmod(0o755)
    (folder / "tmp").mkdir()
    conf = folder / "nginx.conf"

    def write(version: int) -> None:
        temp = "".join(f"{kind}_temp_path tmp; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf.write_text(
            "worker_processes 1; pid n.pid; daemon off; error_log e.log warn; events {} http { access_log off; "
            f"{temp} server {{ listen 127.0.0.1:{port}; location / {{ add_header v {version}; return 200 x; }} }} }}"
        )

    def version() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().getheader("v") or ""
        except OSError:
            return ""
        finally:
            connection.close()

    write(0)
    process = Process.start([str(find_nginx().path), "-p", str(folder), "-c", str(conf)], cwd=folder)
    times = []
    try:
        unbroken(lambda: version() == "0")
        for n in range(1, rounds + 1):
            write(n)
            began = time.time()
            process.send_signal(signal.SIGHUP)
            times.append(1000 * (unbroken(lambda n=n: version() == str(n)) - began))  # type: ignore[misc]
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return times


def test_b1(tmp_path: Path) -> None:
    env = {"SIM_START_DELAY": "0"}
    with Pipeline(tmp_path, profile="real") as pipeline:
        created = []
        for n in range(ROUNDS):
            name = f"new{n}"
            created.append(
                measured(pipeline, name, lambda name=name: pipeline.service(name, env=env), lambda h: "x-task" in h)  # type: ignore[misc]
            )
            pipeline.sim.remove(name)
        pipeline.service("roll", env=env | {"APP_VERSION": "0"})
        pipeline.wait_routed("roll.test")
        pipeline.wait_effective("roll")
        rolled = []
        for n in range(1, ROUNDS + 1):
            update = lambda n=n: pipeline.sim.update("roll", env=env | {"APP_VERSION": str(n)}, order="start-first")  # noqa: E731
            rolled.append(measured(pipeline, "roll", update, lambda h, n=n: h.get("x-version") == str(n)))  # type: ignore[misc]
            pipeline.wait_effective("roll", timeout=30)
    table("a new service with a new host", created)
    table("a start-first update of one task: until the new one alone answers", rolled)
    print(row("floor: nginx's own reload (SIGHUP), alone", nginx_alone()))
    assert all(r.total > 0 for r in created + rolled)
