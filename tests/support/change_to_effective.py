"""What B1 measures, on whatever engine: from a task that runs by Docker's API to requests that reach it.

The clock starts when an independent probe, which lists the service's tasks every 20 ms, first sees the new task
`running`; it ends with the first answer of an unbroken run of right answers on fresh connections. The tables are in the
form of docs/benchmarks.md. The benchmarks in tests/bench call it; nothing here knows which engine it is.
"""

from __future__ import annotations

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.runtime.parts import find_nginx
from interlock.runtime.process import Process
from interlock.wire import codec
from support.pipeline import free_ports

ROUNDS = int(os.environ.get("B1_ROUNDS", "20"))
UNBROKEN = 0.6
AFTER_DOCKER = (("bus", "seen", "received"), ("plan", "received", "planned"),
                ("bus and admission", "planned", "applying"), ("nginx", "applying", "effective"))  # fmt: skip
"""The product's hops, each from one time of an outcome's trail to the next. Docker's part depends on the engine."""


class Round(NamedTuple):
    """One change: milliseconds from running to effective, and its parts by name."""

    total: float
    parts: dict[str, float]


class TaskProbe(threading.Thread):
    """Lists a service's tasks every 20 ms over the engine's socket; notes when each was first seen running, Unix s.

    `known`: tasks of before, which do not count. `on_running` is called once, with the first new task that runs.
    """

    def __init__(
        self,
        socket_path: Path | str,
        service: str,
        known: Sequence[str] = (),
        on_running: Callable[[dict[str, Any]], None] = lambda task: None,
    ) -> None:
        super().__init__(daemon=True)
        self._socket_path, self._known, self._on_running = str(socket_path), frozenset(known), on_running
        self._path = "/v1.41/tasks?filters=" + quote(json.dumps({"service": [service]}))
        self.running: dict[str, float] = {}
        self.done = threading.Event()

    @property
    def began(self) -> float:
        """When the first new task was seen running."""
        return min(self.running.values())

    def run(self) -> None:
        connection = http.client.HTTPConnection("docker")
        while not self.done.wait(0.02):
            if connection.sock is None:
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.connect(self._socket_path)
            connection.request("GET", self._path)
            tasks = json.loads(connection.getresponse().read())
            now = time.time()
            # A service that is not there yet is answered with an object that says so.
            for task in tasks if isinstance(tasks, list) else ():
                if task["Status"]["State"] == "running" and task["ID"] not in self._known:
                    if not self.running:
                        self._on_running(task)
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


def observe(probe: TaskProbe, ask: Callable[[], bool], within: float = 15.0) -> float:
    """Unix seconds of the first of an unbroken run of right answers, the probe looking meanwhile."""
    probe.start()
    try:
        return unbroken(ask, within)
    finally:
        probe.done.set()
        probe.join()


def trail(bus: Bus, region: str, effective: float) -> dict[str, float]:
    """The times of the outcome that made it so: the last reload that was effective by then, give or take the pace."""
    entries = bus.command("XRANGE", f"{keys.outcomes(Cluster(region, ''))}:log", "-", "+")
    said = [codec.decode("outcome", fields[b"d"], Outcome) for _, fields in entries]
    found = [o for o in said if o.result == "reloaded" and (o.effective_at or 0) <= effective + 0.05]
    return dict(found[-1].hops) if found else {}


def split(times: dict[str, float], pairs: Sequence[tuple[str, str, str]]) -> dict[str, float]:
    """Milliseconds from one time to another, for the pairs of which both are known."""
    return {label: 1000 * (times[b] - times[a]) for label, a, b in pairs if a in times and b in times}


def row(what: str, values: Sequence[float]) -> str:
    return f"| {what} | {statistics.median(values):.0f} | {min(values):.0f} | {max(values):.0f} | {len(values)} |"


def table(title: str, rounds: Sequence[Round]) -> None:
    """Prints it, with a row for each part that any round has."""
    print(f"\n| {title} | median | min | max | n |\n|---|---|---|---|---|")
    print(row("**running to effective**", [r.total for r in rounds]))
    # In their order: a round may lack the times of some.
    for label in dict.fromkeys(label for r in sorted(rounds, key=lambda r: -len(r.parts)) for label in r.parts):
        print(row(label, [r.parts[label] for r in rounds if label in r.parts]))


def floor(rounds: int = ROUNDS) -> None:
    """Prints the row beside it: what nginx's own reload takes on the same machine in the same run."""
    print("\n| floor, same run | median | min | max | n |\n|---|---|---|---|---|")
    print(row("nginx's own reload (SIGHUP) by the same rule, alone", nginx_alone(rounds)))


def nginx_alone(rounds: int) -> list[float]:
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
