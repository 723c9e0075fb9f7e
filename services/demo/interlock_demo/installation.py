"""A whole Interlock on this machine: bus, simulated Swarm, services and proxies, each a process of its own. Shell.

The demo shows one; the feature tests drive one (`tests/support/pipeline.py`). Services are started as a user would
start them, by their console scripts; nothing of theirs is imported. The embedded bus dies with this process, everything
else hangs from the leash.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from interlock.bus.connection import Bus
from interlock.bus.embedded import EmbeddedServer
from interlock.errors import InterlockError, PartMissing
from interlock.runtime.lifecycle import PARENT_ENV
from interlock_demo.supervisor import Spec, Supervisor
from interlock_simulator.client import SimulatorClient

REGION = "default"
BUS = "bus"
SIMULATOR = "simulator"
_LOOK = 0.1


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each. `workers` counts per service cluster.

    `kinds`: of proxy, in turn for the workers of each cluster. `watcher`, `planner`, `extension`, `simulator`: further
    arguments of their command lines.
    """

    watchers: int = 1
    planners: int = 1
    workers: int = 1
    clusters: tuple[str, ...] = ("",)
    kinds: tuple[str, ...] = ("nginx",)
    profile: str = "real"
    nodes: int = 1
    watcher: tuple[str, ...] = ()
    planner: tuple[str, ...] = ()
    extension: tuple[str, ...] = ()
    simulator: tuple[str, ...] = ()
    bus_binary: str = ""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The files of an installation below its folder, which must be short: sockets lie in it."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def bus(self) -> Path:
        return self.folder / "bus"

    @property
    def docker(self) -> Path:
        return self.folder / "docker.sock"

    def state(self, worker: str) -> Path:
        """The state folder of a worker."""
        return self.folder / "state" / worker

    @property
    def passing(self) -> tuple[Path, ...]:
        """What goes when the installation ends; the logs stay for whoever wants to know."""
        return (self.bus, self.docker, Path(f"{self.docker}.control"), self.folder / "state")


class Installation:
    """One installation. `start` it, `close` it; in between, programs can be killed and started by name.

    Names: `bus`, `simulator`, `watcher`, `watcher-2`, …, `planner`, …, `extension`, `extension-2`, … in the order of
    clusters. `listen`: for each worker the ADDR:PORTs that its proxy serves on.
    """

    def __init__(
        self,
        folder: Path,
        shape: Shape,
        listen: Sequence[Sequence[str]],
        *,
        restart: bool,
        say: Callable[[str], None] = lambda _: None,
        remove: Sequence[Path] = (),
        keep: Sequence[int] = (),
    ) -> None:
        self.layout = Layout(folder=folder)
        self.shape = shape
        self._listen = listen
        self._restart = restart
        self._say = say
        self.sim = SimulatorClient(self.layout.docker)
        self._server: EmbeddedServer | None = None
        self._bus_wanted = False
        self._bus_lock = threading.Lock()
        self._stop = threading.Event()
        self.supervisor = Supervisor(
            self.layout.logs, restart=restart, say=say, remove=(*self.layout.passing, *remove), keep=keep
        )
        self._minder = threading.Thread(target=self._mind_bus, name="mind-bus", daemon=True)

    def start(self) -> None:
        """Starts everything, the bus first. Raises `PartMissing`, `BusUnavailable`, `InterlockError`."""
        # Made first, so that a missing part is told before anything runs.
        specs = [self._simulator(), *self._services(self.bus_url)]
        self.start_bus()
        self._minder.start()
        for spec in specs:
            self.supervisor.add(spec)

    @property
    def bus_url(self) -> str:
        """The embedded bus."""
        return f"unix://{self.layout.bus / 'bus.sock'}"

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers, in the order of clusters."""
        return tuple(_numbered("extension", n) for n in range(self.shape.workers * len(self.shape.clusters)))

    def bus_pid(self) -> int | None:
        """The pid of the embedded bus while it runs."""
        with self._bus_lock:
            return self._server.pid if self._server else None

    def start_bus(self) -> None:
        """Starts the embedded bus (again), with the data that its folder holds."""
        with self._bus_lock:
            if self._server is None:
                self._server = EmbeddedServer.start(self.layout.bus, binary=self.shape.bus_binary or None)
            elif not self._server.alive():
                self._server.run()
            self._bus_wanted = True

    def stop_bus(self, *, kill: bool = False) -> None:
        """Ends the embedded bus; it is not started again by itself."""
        with self._bus_lock:
            self._bus_wanted = False
            if self._server is None:
                return
            if kill and self._server.pid is not None:
                os.kill(self._server.pid, signal.SIGKILL)
            self._server.close()

    def connect(self, name: str) -> Bus:
        """A connection of one's own to the bus; the caller closes it."""
        return Bus.connect(self.bus_url, name=name)

    def close(self) -> None:
        """Ends everything. Nothing is left when this returns: no process, no port, no socket."""
        self._stop.set()
        if self._minder.is_alive():
            self._minder.join()
        try:
            self.supervisor.close()
        finally:
            self.stop_bus()
            for path in self.layout.passing:
                # The leash has removed them, but the bus wrote its last after that.
                shutil.rmtree(path, ignore_errors=True)

    def _mind_bus(self) -> None:
        while not self._stop.wait(_LOOK):
            with self._bus_lock:
                dead = self._restart and self._bus_wanted and self._server is not None and not self._server.alive()
            if not dead:
                continue
            self._say(f"the bus ended; starting it again with its data (log: {self.layout.bus / 'server.log'})")
            try:
                self.start_bus()
            except InterlockError as error:
                self._say(f"the bus does not come back: {error}")
                self._stop.wait(1.0)

    def _simulator(self) -> Spec:
        shape = self.shape
        more = ("--profile", shape.profile, "--nodes", str(shape.nodes), "--stop-with-parent", *shape.simulator)
        return self._spec(SIMULATOR, "simulator", "--socket", str(self.layout.docker), *more)

    def _services(self, bus: str) -> list[Spec]:
        shape = self.shape
        common = ("--bus", bus, "--region", REGION)
        docker = ("--docker", f"unix://{self.layout.docker}")
        specs = [
            self._spec(name, "watcher", *common, *docker, "--name", name, *shape.watcher)
            for name in (_numbered("watcher", n) for n in range(shape.watchers))
        ]
        specs += [
            self._spec(name, "planner", *common, "--name", name, *shape.planner)
            for name in (_numbered("planner", n) for n in range(shape.planners))
        ]
        for number, worker in enumerate(self.workers):
            cluster = shape.clusters[number // shape.workers]
            listen = [argument for address in self._listen[number] for argument in ("--listen", address)]
            kind = shape.kinds[number % shape.workers % len(shape.kinds)]
            own = ("--cluster", cluster, "--state-dir", str(self.layout.state(worker)), "--proxy-id", worker)
            more = ("--extension", kind, "--access-log", "off", *shape.extension)
            specs.append(self._spec(worker, "extension", *common, *own, *listen, *more))
        return specs

    def _spec(self, name: str, service: str, *arguments: str) -> Spec:
        # Settings of the user's own services in the environment are not meant for these.
        env = {key: value for key, value in os.environ.items() if not key.startswith("INTERLOCK_")}
        env[PARENT_ENV] = str(self.supervisor.leash)
        return Spec(name=name, argv=(console_script(service), *arguments), env=env)


def console_script(service: str) -> str:
    """The path of `interlock-<service>`. Raises PartMissing."""
    name = f"interlock-{service}"
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise PartMissing(
            f"{name} was found neither beside {sys.executable} nor on PATH: pip install 'interlock[demo]'"
        )
    return found


def _numbered(name: str, number: int) -> str:
    return name if number == 0 else f"{name}-{number + 1}"
