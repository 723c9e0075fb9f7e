"""Interlock on a real Swarm, each part a process of this machine; the proxy runs in the network of a container there.

with Product(swarm, tmp_path) as product:
    product.service("shop", replicas=2)
    product.wait_answers("shop.test", tasks=2)
    with product.load(["shop.test"]) as load: …
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from interlock.bus.connection import Bus
from interlock.bus.embedded import EmbeddedServer
from interlock.bus.outcomes import Outcomes
from interlock.inspection import view
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock_demo.load import Load
from support.swarm import images
from support.swarm.cables import within
from support.swarm.commands import run, until
from support.swarm.lab import Swarm
from support.swarm.node import Node
from support.swarm.operator import NETWORK, Operator
from support.swarm.quiet import alone

PORT = 8000
_PROGRAMS = Path(sys.executable).parent


class Product(Operator):
    """A bus, a watcher, a planner, and a worker with its nginx beside an attachable container on the overlay `web`."""

    def __init__(self, swarm: Swarm, tmp_path: Path) -> None:
        super().__init__(swarm)
        self._folder = tmp_path
        self._bus = EmbeddedServer.start(swarm.folder / "bus")
        self.bus = Bus.connect(self._bus.url, name="test")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._gate: list[str] = []

    def __enter__(self) -> Product:
        manager = self.swarm.manager()
        manager.docker("network", "create", "-d", "overlay", "--attachable", NETWORK)
        manager.docker("run", "-d", "--name", "gate", "--network", NETWORK, images.PYTHON, "sleep", "3600")
        self._gate = manager.enter("gate")
        bus = ("--bus", self._bus.url)
        self._start("interlock-watcher", "--docker", manager.host, *bus)
        self._start("interlock-planner", *bus)
        state = ("--state-dir", str(self.swarm.folder / "state"))
        port = ("--http-port", str(PORT), "--proxy-id", "gate", "--access-log", "off")
        self._start("interlock-extension", *bus, *state, *port, before=self._gate)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(15)
        self.bus.close()
        self._bus.close()
        if kind is not None:
            for path in sorted(self._folder.glob("*.log")):
                print(f"\n=== {path.name} ===\n{path.read_text(errors='replace')[-8000:]}")
        manager = self.swarm.manager()
        manager.docker("service", "rm", *manager.docker("service", "ls", "-q").split(), check=False)
        manager.docker("rm", "-f", "gate", check=False)
        until(lambda: not manager.docker("ps", "-q"), 60, "the containers end")
        # Swarm takes a network away only some time after the last task on it.
        until(lambda: self._network_gone(manager), 60, "the network goes")

    @staticmethod
    def _network_gone(manager: Node) -> bool:
        manager.docker("network", "rm", NETWORK, check=False)
        return NETWORK not in manager.docker("network", "ls", "--format", "{{.Name}}").split()

    def _start(self, program: str, *options: str, before: list[str] | None = None) -> None:
        with (self._folder / f"{program}.log").open("wb") as log:
            self._processes[program] = subprocess.Popen(
                [*(before or []), str(_PROGRAMS / program), *options], stdout=log, stderr=log
            )

    def ask(self, host: str, path: str = "/") -> tuple[int, dict[str, str]]:
        """Status and what the backend said; empty where none did."""
        url = f"http://127.0.0.1:{PORT}{path}"
        said = run(
            *self._gate, "curl", "-s", "-m", "5", "-w", "\n%{http_code}", "-H", f"Host: {host}", url, check=False
        )
        body, _, status = said.rpartition("\n")
        return int(status or 0), json.loads(body) if body.startswith("{") else {}

    def wait_answers(self, host: str, *, tasks: int, version: str = "1", timeout: float = 30) -> None:
        """Waits until just so many tasks of this version answer."""

        def answered() -> bool:
            said = [self.ask(host)[1] for _ in range(4 * tasks)]
            return all(s.get("version") == version for s in said) and len({s["task"] for s in said}) == tasks

        until(answered, timeout, f"{tasks} tasks of version {version} answer at {host}")

    def wait_unrouted(self, host: str) -> None:
        """Waits until the proxy answers 503 by itself."""
        until(lambda: self.ask(host) == (503, {}), 30, f"{host} is not routed")

    @contextmanager
    def load(self, hosts: list[str], rate: float = 200) -> Iterator[Load]:
        """A load from within the proxy's network, which a new thread has from the one that starts it."""
        load = Load(hosts, port=PORT, rate=rate)
        with alone():
            with within(Path(self._gate[1].removeprefix("--net="))):
                load.start()
            try:
                yield load
            finally:
                load.stop()

    def status(self) -> view.StatusView:
        return view.status(self.bus)

    def outcome(self) -> Outcome:
        """What the worker last said."""
        [outcome] = Outcomes(self.bus).live(Cluster("default", ""))
        return outcome
