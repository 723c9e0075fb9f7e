"""What feature, load and chaos tests do to a `Pipeline` and ask of it besides routing."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from interlock_demo.load import LoadReport
from support.pipeline import Pipeline
from support.ports import free_ports

PLANNER = "interlock_planner_"


@contextmanager
def away(pipeline: Pipeline, *names: str, fresh: bool = False) -> Iterator[None]:
    """These processes are killed, and started again at the end, whatever happens in between."""
    for name in names:
        pipeline.kill(name)
    try:
        yield
    finally:
        for name in names:
            pipeline.start(name, fresh=fresh)


def kill_nginx(pipeline: Pipeline, name: str = "nginx") -> None:
    """SIGKILL to the master and to its workers, which would serve on without it."""
    found = [i for n, i in pipeline.identities().items() if n == name or n.startswith(f"{name} worker")]
    for identity in found:
        identity.send_signal(signal.SIGKILL)
    pipeline.wait(lambda: not any(identity.alive() for identity in found), f"{name} is gone")


def with_planner_metrics() -> tuple[str, ...]:
    """For `Pipeline(planner=…)`: the planner serves its metrics."""
    return ("--metrics", f"127.0.0.1:{free_ports(1)[0]}")


def planner_counters(pipeline: Pipeline) -> Counter[str]:
    """The planner's own counters by name, without prefix and `_total`; needs `with_planner_metrics`."""
    return Counter(
        {
            family.name.removeprefix(PLANNER): int(family.samples[0].value)
            for family in _planner_metrics(pipeline)
            if family.type == "counter" and family.name.startswith(PLANNER)
        }
    )


def planner_problems(pipeline: Pipeline) -> dict[tuple[str, str], int]:
    """How many problems the planner's metrics show, by code and severity; needs `with_planner_metrics`."""
    [family] = (f for f in _planner_metrics(pipeline) if f.name == PLANNER + "problems")
    return {(s.labels["code"], s.labels["severity"]): int(s.value) for s in family.samples}


def _planner_metrics(pipeline: Pipeline) -> list[Any]:
    address = pipeline.installation.shape.planner[1]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


def worker_counters(pipeline: Pipeline) -> Counter[str]:
    """What the worker says that it has rendered and written."""
    outcome = pipeline.outcome()
    assert outcome is not None, f"{pipeline.extension} says nothing"
    wanted = ("hosts_rendered", "files_written", "bytes_written")
    return Counter({name: int(outcome.counters.get(name, 0)) for name in wanted})


def settled(pipeline: Pipeline) -> bool:
    """Every proxy runs a plan that is drawn from the services that are on the bus now."""
    clusters = pipeline.status().clusters
    return not any(c.stale or not c.complete or any(p.behind for p in c.proxies) for c in clusters)


def host_files(pipeline: Pipeline, worker: int | None = None) -> dict[str, tuple[int, int]]:
    """The proxy's file of every virtual host: inode and time of its writing."""
    name = pipeline.installation.workers[pipeline.at(worker)]
    folder = pipeline.folder / "state" / name / pipeline.kind / "hosts"
    return {path.stem: (s.st_ino, s.st_mtime_ns) for path in folder.glob("*.c*f*") for s in [path.stat()]}


def interlock_json(pipeline: Pipeline, command: str) -> Any:
    """What `interlock <command> --json` prints."""
    script = Path(sys.executable).parent / "interlock"
    argv = [str(script), command, "--json", "--bus", pipeline.installation.bus_url]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)


def asked(pipeline: Pipeline, host: str, times: int, path: str = "/", header: str = "x-task") -> Counter[str]:
    """How often which value of a header came back; an answer without it counts as its status."""
    answers = (pipeline.get(host, path) for _ in range(times))
    return Counter(answer.headers.get(header, str(answer.status)) for answer in answers)


def endpoints(pipeline: Pipeline, host: str) -> set[str]:
    """The tasks that are planned for a host and are not draining."""
    return {e.task for route in pipeline.routes() if route.host == host for e in route.endpoints if not e.draining}


def figures(what: str, report: LoadReport, more: str = "") -> str:
    """A line to print."""
    return (
        f"{what}: {report} · {report.posts} POST, {report.kept_alive} on kept connections,"
        f" {report.after_idle} after idling, {report.slow_bodies} slow bodies"
        f" · {report.proxy_retries} retried by the proxy"
        f" · p50 {report.p50_ms:.1f} ms, p99 {report.p99_ms:.0f} ms" + (f" · {more}" if more else "")
    )


def failed_between(report: LoadReport) -> tuple[float, float] | None:
    """When the first and the last of the requests that failed began; one that began before a kill was in flight."""
    times: Sequence[float] = sorted(failure.began for failure in report.failures)
    return (times[0], times[-1]) if times else None


def change_to_effective(pipeline: Pipeline) -> tuple[float, float]:
    """How many changes were in effect on every proxy, and the seconds of all; needs `with_planner_metrics`."""
    name = PLANNER + "change_to_effective_seconds"
    found = {s.name: s.value for f in _planner_metrics(pipeline) if f.name == name for s in f.samples}
    return found.get(f"{name}_count", 0.0), found.get(f"{name}_sum", 0.0)
