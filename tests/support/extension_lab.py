"""A worker with its nginx on an embedded bus, in this process or in one of its own; the test writes the plan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.embedded import EmbeddedServer
from interlock.bus.outcomes import Outcomes
from interlock.bus.state import StateWriter
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.routing import Endpoint, Plan
from interlock.model.version import Token, Version
from interlock.runtime.lifecycle import Lifecycle
from interlock.wire import fields
from interlock.wire.trail import Cause, Trail
from interlock_extension.app import Options, start
from interlock_extension.nginx import family
from support.nginx_lab import status_of, until, upstream, virtual_host
from support.ports import free_port

CLUSTER = Cluster("test", "")
TOKEN = Token(epoch=1, nonce="test")


def plan_of(hosts: Mapping[str, tuple[Endpoint, ...]]) -> Plan:
    """One path for each host."""
    return Plan(
        hosts={host: virtual_host(host) for host in hosts},
        upstreams={u.name: u for u in (upstream(host, endpoints) for host, endpoints in hosts.items())},
    )


class WorkerLab:
    def __init__(self, folder: Path, binary: str = "") -> None:
        self.folder = folder
        self.binary = binary
        self.state = folder / "state"
        self.port = free_port()
        self.server = EmbeddedServer.start(folder / "bus")
        self.bus = Bus.connect(self.server.url, name="test")
        self.writer = StateWriter(self.bus, keys.plan(CLUSTER))
        self.writer.fence(TOKEN)
        self.lifecycle: Lifecycle | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.dns = "off"
        self.more_options: dict[str, object] = {}
        """Of nginx, for a worker in this process."""
        self.template = ""
        self.keep_proxy = False
        self.told = ("--option", f"ErrorLogPath={folder / 'error.log'}", "--option", "WorkerProcesses=2")
        """Options of nginx, for a worker in a process of its own."""
        self._changes = 0

    # The plan

    def publish(self, plan: Plan) -> Version:
        self._changes += 1
        trail = Trail(causes=(Cause(id=f"c{self._changes}", kind="event", at=time.time()),), hops={"seen": time.time()})
        version = self.writer.replace(fields.plan_fields(plan), token=TOKEN, trail=trail)
        assert version is not None, "the plan did not change"
        return version

    def serve(self, hosts: Mapping[str, tuple[Endpoint, ...]]) -> Version:
        return self.publish(plan_of(hosts))

    # The worker

    def options(self) -> Options:
        return Options(
            bus_url=self.server.url,
            cluster=CLUSTER,
            state_dir=self.state,
            listen=(f"127.0.0.1:{self.port}",),
            binary=self.binary,
            proxy_id="p1",
            dns=self.dns,
            template=self.template,
            keep_proxy=self.keep_proxy,
            proxy_options={
                "AccessLogPath": "off",
                "ErrorLogPath": str(self.folder / "error.log"),
                "WorkerProcesses": 2,
                **self.more_options,
            },
        )

    def _base(self) -> None:
        # A first plan, so that those of the test come as entries with their causes.
        if not self._changes:
            self.serve({})
            self._changes = 0

    def start(self) -> None:
        """In this process."""
        self._base()
        self.lifecycle = Lifecycle("extension", signals=False)
        start(self.options(), self.lifecycle)
        until(lambda: status_of(self.port, "nobody.example") == 503, "nginx answers")
        until(lambda: (o := self.outcome()) is not None and o.version is not None, "the first plan is read")

    def stop(self) -> None:
        assert self.lifecycle
        assert self.lifecycle.close() == 0
        self.lifecycle = None

    def command(self, *more: str, listen: bool = True) -> list[str]:
        """A worker's command line; `more` come last."""
        return [
            sys.executable, "-m", "interlock_extension.cli", "--bus", self.server.url, "--region", "test",
            "--state-dir", str(self.state), "--proxy-id", "p1", "--dns", self.dns, "--access-log", "off",
            *self.told, *(("--listen", f"127.0.0.1:{self.port}") if listen else ()), *more,
        ]  # fmt: skip

    def spawn(self, *more: str, listen: bool = True) -> int:
        """In a process of its own; its pid."""
        self._base()
        with (self.folder / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(self.command(*more, listen=listen), stdout=log, stderr=log)
        until(lambda: status_of(self.port, "nobody.example") == 503, "nginx answers")
        return self.process.pid

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        self.process = None

    def terminate(self) -> int:
        assert self.process
        self.process.terminate()
        status = self.process.wait(10)
        self.process = None
        return status

    @property
    def master(self) -> int | None:
        found = family.master_of((self.state / "nginx").resolve())
        return found.pid if found else None

    @property
    def log(self) -> str:
        return (self.folder / "worker.log").read_text(errors="replace")

    # What it says

    def outcome(self) -> Outcome | None:
        found = Outcomes(self.bus).live(CLUSTER)
        return found[0] if found else None

    def until_runs(self, version: Version, timeout: float = 30.0) -> Outcome:
        found: list[Outcome] = []

        def runs() -> bool:
            outcome = self.outcome()
            found[:] = [outcome] if outcome else []
            return outcome is not None and version.same(outcome.version)

        until(runs, f"the proxy runs {version}; it says {found}", timeout)
        return found[0]

    def close(self) -> None:
        if self.lifecycle:
            self.lifecycle.close()
        if self.process:
            self.kill()
        for pid in {self.master} - {None}:
            os.kill(pid, signal.SIGTERM)
            until(lambda: self.master is None, "nginx ends")
        self.bus.close()
        self.server.close()
