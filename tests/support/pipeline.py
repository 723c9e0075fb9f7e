"""The whole pipeline for feature tests: bus, simulated Swarm, watchers, planners, workers with nginx, each a process.

    with Pipeline(tmp_path) as pipeline:
        pipeline.service("shop", replicas=2)                      # answers at shop.test
        pipeline.wait_routed("shop.test")
        with pipeline.load(["shop.test"], rate=200) as load:
            pipeline.kill("planner")
            pipeline.sim.scale("shop", 5)
            pipeline.start("planner")
            pipeline.wait_effective("shop")
        assert load.report().failed == 0

Names: `bus`, `simulator`, `watcher`, `watcher-2`, …, `planner`, …, `extension`, …, and `nginx`, `nginx-2`, … (or
`haproxy`, …) for the proxy of the worker of that number. Nothing is started again by itself but a proxy. When a test
fails, every program's log is printed; in any case, leaving makes sure that no process stays.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.outcomes import Outcomes
from interlock.errors import InterlockError
from interlock.inspection import view
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.problem import Problem
from interlock.runtime.process import Identity
from interlock.wire import codec
from interlock_demo.installation import REGION, Installation, Shape
from interlock_demo.load import Load
from interlock_simulator.client import SimulatorClient
from support.ports import free_ports

PREFIX = "com.docker.lb."
NETWORK = "web"
KINDS = ("nginx", "haproxy")
_UNBROKEN = 8
"""Right answers in a row, 20 ms apart: longer than both generations of nginx's workers accept."""

T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def task(self) -> str | None:
        """The task that answered; None where no backend did."""
        return self.headers.get("x-task")

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Pipeline:
    """See the module. Further options are those of `interlock_demo.installation.Shape`: `nodes`, `extension=(…)`, …"""

    def __init__(
        self,
        tmp_path: Path,
        *,
        watchers: int = 1,
        planners: int = 1,
        workers: int = 1,
        clusters: Sequence[str] = ("",),
        profile: str = "fast",
        **shape: Any,
    ) -> None:
        # Not tmp_path: a unix socket's path may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="il-"))
        self.ports = free_ports(workers * len(clusters))
        self._logs_kept = tmp_path / "logs"
        self.installation = Installation(
            self.folder,
            Shape(
                watchers=watchers,
                planners=planners,
                workers=workers,
                clusters=tuple(clusters),
                profile=profile,
                **shape,
            ),
            [[f"127.0.0.1:{port}"] for port in self.ports],
            restart=False,
        )
        self.bus: Bus = self.installation.connect("test")
        self.worker = 0
        """Of which worker's proxy is spoken where none is named."""
        self._seen: dict[str, Identity] = {}

    @property
    def sim(self) -> SimulatorClient:
        return self.installation.sim

    @property
    def port(self) -> int:
        """Of the proxy of which is spoken."""
        return self.ports[self.worker]

    @property
    def extension(self) -> str:
        """The name of that worker."""
        return self.installation.workers[self.worker]

    @property
    def kind(self) -> str:
        """Of that proxy: nginx or haproxy."""
        return self.installation.shape.kinds[self.worker % len(self.installation.shape.kinds)]

    def at(self, worker: int | None) -> int:
        """That worker's number, or of the one of which is spoken."""
        return self.worker if worker is None else worker

    def __enter__(self) -> Pipeline:
        try:
            self.installation.start()
            self.sim.wait_ready(30)
            self.sim.create_network(NETWORK)
            for port in self.ports:
                self.wait(lambda port=port: _accepts(port), f"a proxy on port {port}", timeout=30)  # type: ignore[misc]
        except BaseException:
            self._leave(failed=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._leave(failed=kind is not None)

    def _leave(self, *, failed: bool) -> None:
        identities = self.identities()
        self.bus.close()
        self.installation.close()
        if failed:
            self._print_logs()
        shutil.copytree(self.folder / "logs", self._logs_kept, dirs_exist_ok=True)
        left = {name: identity for name, identity in identities.items() if identity.alive()}
        left |= {f"pid {pid}": found for pid in mentioning(self.folder) if (found := Identity.of(pid))}
        for identity in left.values():
            identity.send_signal(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not left, f"processes outlived the pipeline: {left}"

    def _print_logs(self) -> None:
        for path in sorted((self.folder / "logs").glob("*.log")):
            print(f"\n=== {path.name} ===\n{path.read_text(encoding='utf-8', errors='replace')[-20_000:]}")

    # Processes

    @property
    def processes(self) -> dict[str, int]:
        """Pids by name, of those that run."""
        return {name: identity.pid for name, identity in self.identities().items() if identity.alive()}

    def identities(self) -> dict[str, Identity]:
        """Every process by name: the latest that was seen, dead or alive."""
        supervisor = self.installation.supervisor
        found = {name: p.identity for name in supervisor.names if (p := supervisor.program(name)) is not None}
        found["leash"] = Identity.of(supervisor.leash)
        found["bus"] = Identity.of(pid) if (pid := self.installation.bus_pid()) is not None else None
        for worker in self.installation.workers:
            kind = next((kind for kind in KINDS if (self.folder / "state" / worker / kind).exists()), "nginx")
            name = worker.replace("extension", kind)
            master = _read_pid(self.folder / "state" / worker / kind / f"{kind}.pid")
            if master is not None:
                found[name] = Identity.of(master)
                found |= {f"{name} worker {pid}": Identity.of(pid) for pid in _children(master)}
        self._seen |= {name: identity for name, identity in found.items() if identity is not None}
        return dict(self._seen)

    def kill(self, name: str) -> None:
        """SIGKILL; returns when the process is gone."""
        self.identities()
        if name == "bus":
            self.installation.stop_bus(kill=True)
        elif name.startswith(KINDS):
            identity = self._seen[name]
            assert identity.send_signal(signal.SIGKILL), f"{name} does not run"
            self.wait(lambda: not identity.alive(), f"{name} is gone")
        else:
            self.installation.supervisor.kill(name)

    def stop(self, name: str) -> None:
        """SIGTERM; returns when the process is gone."""
        self.identities()
        if name == "bus":
            self.installation.stop_bus()
        else:
            self.installation.supervisor.stop(name)

    def start(self, name: str, *, fresh: bool = False) -> None:
        """Starts a killed or stopped process again. `fresh`: without what it kept on disk (the bus, a worker)."""
        if name == "bus":
            if fresh:
                shutil.rmtree(self.folder / "bus" / "appendonlydir", ignore_errors=True)
            self.installation.start_bus()
            return
        if fresh:
            shutil.rmtree(self.folder / "state" / name, ignore_errors=True)
        self.installation.supervisor.start(name)

    def pause(self, name: str) -> None:
        """SIGSTOP: the process hangs."""
        assert self.identities()[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        assert self.identities()[name].send_signal(signal.SIGCONT)

    def log(self, name: str) -> str:
        """What a program has logged so far."""
        return self.installation.supervisor.log(name).read_text(encoding="utf-8", errors="replace")

    # Services and traffic

    def service(
        self, name: str, *, replicas: int | None = 1, labels: Mapping[str, str] | None = None, **options: Any
    ) -> str:
        """A service that answers at `<name>.test`, unless `labels` (without their prefix) say otherwise. Its id."""
        chosen = {"hosts": f"{name}.test", "port": "8080", **(labels or {})}
        options.setdefault("networks", [NETWORK])
        return self.sim.create_service(
            name, labels={PREFIX + key: value for key, value in chosen.items()}, replicas=replicas, **options
        )

    def get(
        self,
        host: str,
        path: str = "/",
        *,
        method: str = "GET",
        worker: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 5.0,
    ) -> Answer:
        """One request on a connection of its own. Raises OSError or HTTPException where there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[self.at(worker)], timeout=timeout)
        try:
            connection.request(method, path, body, {"Host": host, **(headers or {})})
            answer = connection.getresponse()
            found = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(status=answer.status, headers=found, body=answer.read())
        finally:
            connection.close()

    def load(self, hosts: Sequence[str], rate: float = 200.0, *, worker: int | None = None, **options: Any) -> Load:
        """A load; `with` starts and stops it."""
        return Load(hosts, port=self.ports[self.at(worker)], rate=rate, **options)

    def wait_routed(self, host: str, path: str = "/", *, worker: int | None = None, timeout: float = 15.0) -> Answer:
        """Waits until backends answer in an unbroken run; the last answer.

        While a proxy reloads, old and new workers answer in turn: one right answer says nothing of the next.
        """
        run = 0

        def answered() -> Answer | None:
            nonlocal run
            try:
                answer = self.get(host, path, worker=worker)
            except (OSError, http.client.HTTPException):
                run = 0
                return None
            run = run + 1 if answer.status < 500 and answer.task else 0
            return answer if run == _UNBROKEN else None

        answer: Answer = self.wait(answered, f"{host}{path} is routed", timeout=timeout)
        return answer

    def wait_unrouted(self, host: str, *, worker: int | None = None, timeout: float = 15.0) -> None:
        """Waits until the proxy answers 503 by itself."""

        def refused() -> bool:
            answer = self.get(host, worker=worker)
            return answer.status == 503 and answer.task is None

        self.wait(refused, f"{host} is not routed", timeout=timeout)

    def wait_effective(self, *services: str, timeout: float = 20.0) -> None:
        """Waits until `services` have converged in the Swarm and every proxy runs a plan drawn from just that."""
        for name in services:
            self.sim.wait_converged(name, timeout)
        wanted = {task["ID"] for name in services for task in self._running(name)}

        def settled() -> bool:
            routed = {e.task for route in self.routes() if set(route.services) & set(services) for e in route.endpoints}
            status = self.status()
            return (
                routed == wanted
                and bool(status.clusters)
                and all(not c.stale and not c.draining and (c.proxies or not c.services) for c in status.clusters)
                and not any(p.behind or p.outcome.waiting for c in status.clusters for p in c.proxies)
            )

        self.wait(settled, lambda: f"the proxies run {wanted}: {self.status()}", timeout=timeout)

    def _running(self, service: str) -> Iterator[dict[str, Any]]:
        for task in self.sim.docker_tasks(service):
            if task["DesiredState"] == "running" and task["Status"]["State"] == "running":
                yield task

    # What is on the bus

    def status(self) -> view.StatusView:
        return view.status(self.bus)

    def routes(self) -> tuple[view.RouteView, ...]:
        return view.routes(self.bus)

    def problems(self, service: str) -> tuple[Problem, ...]:
        """What the plans say of a service."""
        return tuple(p for cluster in self.status().clusters for p in cluster.problems if p.service == service)

    def outcome(self, worker: int | None = None) -> Outcome | None:
        """What the worker of this number last said; None when it is silent."""
        worker = self.at(worker)
        name = self.installation.workers[worker]
        cluster = self.installation.shape.clusters[worker // self.installation.shape.workers]
        return next((o for o in Outcomes(self.bus).live(Cluster(REGION, cluster)) if o.proxy == name), None)

    def outcome_log(self, cluster: str = "") -> list[Outcome]:
        """Everything that a cluster's workers have said, oldest first."""
        entries = self.bus.command("XRANGE", f"{keys.outcomes(Cluster(REGION, cluster))}:log", "-", "+")
        return [codec.decode("outcome", fields[b"d"], Outcome) for _, fields in entries]

    def wait(self, condition: Callable[[], T], what: str | Callable[[], str], timeout: float = 30.0) -> Any:
        """Waits until `condition` is true and gives its value; an error of ours counts as not yet."""
        deadline = time.monotonic() + timeout
        error: Exception | None = None
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except (InterlockError, OSError, http.client.HTTPException) as found:
                error = found
            time.sleep(0.02)
        raise AssertionError(f"not within {timeout} s: {what if isinstance(what, str) else what()}") from error


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if path.read_text(errors="replace").rpartition(")")[2].split()[1] == str(pid):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def mentioning(folder: Path) -> list[int]:
    """Processes that were started with, or work in, this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            inside = str(folder).encode() in (path / "cmdline").read_bytes()
            if int(path.name) != os.getpid() and (
                inside or str(path.joinpath("cwd").readlink()).startswith(str(folder))
            ):
                found.append(int(path.name))
        except OSError:
            continue
    return found
