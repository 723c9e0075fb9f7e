"""A pool of F5 workers, each a process, on an embedded bus with a planner; the test writes services as a watcher does.

The device is `As3Server`. Every address of 127.0.0.0/8 accepts connections on one port, so that any endpoint is there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.embedded import EmbeddedServer
from interlock.bus.outcomes import Outcomes
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock_f5.declaration import tenant_name
from support.as3_server import As3Server, Write, decide
from support.planner_lab import Pen, eventually
from support.swarm_values import service, task

REGION, POOL = "test", "f5"
PACKAGE = Path(__file__).parents[2] / "docs" / "examples" / "f5"


def installed(folder: Path) -> dict[str, str]:
    """Make the package known to programs that are started with the environment that this returns."""
    info = folder / "interlock_f5-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: interlock-f5\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[interlock.extensions]\nf5 = interlock_f5:extension\n")
    return {"PYTHONPATH": f"{folder}:{PACKAGE}"}


_FLAWED = """from pathlib import Path
from interlock_f5 import F5Extension

def fails(what, cluster):
    flaw = Path(__file__).with_name("flaw")
    if flaw.exists() and flaw.read_text() == f"{what} {cluster}":
        raise TypeError(f"a slip in {what}")

class Extension(F5Extension):
    name = "flawed"

    def open(self, settings):
        fails("open", settings.cluster)
        renderer, control = super().open(settings)
        for what in ("start", "tend", "apply_delta"):
            setattr(control, what, self.flawed(what, settings.cluster, getattr(control, what)))
        return renderer, control

    def flawed(self, what, cluster, call):
        def called(*given):
            fails(what, cluster)
            return call(*given)
        return called

extension = Extension()
"""


class PoolLab:
    """`clusters`: their names; each has one service and one host. A worker's name is what the test calls it."""

    def __init__(self, *clusters: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="il-"))
        self.clusters = {name: Cluster(REGION, name) for name in clusters}
        self.device = As3Server()
        self.server = EmbeddedServer.start(self.folder / "bus")
        self.bus = Bus.connect(self.server.url, name="test")
        self.pens = {name: Pen(self.bus, cluster) for name, cluster in self.clusters.items()}
        self.wanted: dict[str, set[str]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.owners: dict[str, str] = {}
        self._environment = {**os.environ, **installed(self.folder / "site")}
        self._config = self._write_config()
        self._listener = socket.create_server(("0.0.0.0", 0), backlog=512)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        self._run("planner", "interlock-planner", "--name", "planner")

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _write_config(self) -> Path:
        (self.folder / "token").write_text("t0ken\n")
        tables = [
            f'[Extensions.{name}]\nServiceCluster = "{name}"\nExtension = "f5"\n[Extensions.{name}.Config]\n'
            f'URL = "{self.device.url}"\nTokenFile = "{self.folder / "token"}"\nVirtualAddresses = ["192.0.2.{n}"]\n'
            for n, name in enumerate(self.clusters, 1)
        ]
        path = self.folder / "config.toml"
        path.write_text("\n".join(tables))
        return path

    def flaw(self, what: str, cluster: str) -> Path:
        """From the next start on workers run an extension in which a method has a mistake, while the file is there."""
        site = self.folder / "site"
        info = site / "flawed-1.dist-info"
        if not info.exists():
            info.mkdir()
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flawed\nVersion: 1\n")
            (info / "entry_points.txt").write_text("[interlock.extensions]\nflawed = flawed:extension\n")
            (site / "flawed.py").write_text(_FLAWED)
            self._config.write_text(self._config.read_text().replace('Extension = "f5"', 'Extension = "flawed"'))
        path = site / "flaw"
        path.write_text(f"{what} {self.clusters[cluster]}")
        return path

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._listener.accept()[0].close()

    # Services

    def serve(self, cluster: str, *addresses: str) -> None:
        """The cluster's service has tasks at these addresses."""
        named = service(f"s-{cluster}", *(task(f"t-{a}", a) for a in addresses), hosts=self.host(cluster),
                        port=str(self.port))  # fmt: skip
        pen = self.pens[cluster]
        if pen.writer.version is None:
            pen.listing(named)
        else:
            pen.change(named)
        self.wanted[cluster] = {f"{a}:{self.port}" for a in addresses}

    @staticmethod
    def host(cluster: str) -> str:
        return f"{cluster}.test"

    # Workers

    def start(self, worker: str, *more: str) -> None:
        """Returns when it counts as living."""
        known = self.living()
        self._run(
            worker, "interlock-extension", "--pool", "--extension", "f5", "--config", str(self._config),
            "--state-dir", str(self.folder / worker), *more,
        )  # fmt: skip
        eventually(lambda: self.living() - known, 15, f"{worker} lives; {self.log(worker)}")
        [self.owners[worker]] = self.living() - known

    def _run(self, name: str, script: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [Path(sys.executable).with_name(script), "--bus", self.server.url, "--region", REGION, *arguments],
                stdout=log, stderr=log, env=self._environment,
            )  # fmt: skip

    def signal(self, worker: str, number: int) -> None:
        self.processes[worker].send_signal(number)
        if number == signal.SIGKILL:
            self.processes.pop(worker).wait()

    def stop(self, worker: str) -> int:
        process = self.processes.pop(worker)
        process.terminate()
        return process.wait(15)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # What is so

    def living(self) -> set[str]:
        found: Mapping[bytes, bytes] = self.bus.command("HGETALL", keys.pool_members(REGION, POOL))
        now = self.bus.server_time() * 1000
        return {name.decode() for name, until in found.items() if int(until) > now}

    def leases(self) -> dict[str, tuple[str, int]]:
        """Cluster -> who holds its lease, by the test's name for it, and the epoch; those that are held."""
        now = self.bus.server_time() * 1000
        names = {owner: worker for worker, owner in self.owners.items()}
        found = {}
        for name, cluster in self.clusters.items():
            lease = self.bus.command("HGETALL", keys.pool_lease(cluster, POOL))
            if lease and int(lease[b"until"]) > now:
                owner = lease[b"owner"].decode()
                found[name] = (names.get(owner, owner), int(lease[b"epoch"]))
        return found

    def held(self, worker: str) -> dict[str, int]:
        """The clusters whose lease it holds, and the epochs."""
        return {cluster: epoch for cluster, (owner, epoch) in self.leases().items() if owner == worker}

    def until_shared(self, *workers: str, within: float = 30.0) -> float:
        """Until these hold all leases, in equal shares."""
        least = len(self.clusters) // len(workers)

        def shared() -> bool:
            owners = [owner for owner, _ in self.leases().values()]
            return len(owners) == len(self.clusters) and all(owners.count(w) >= least for w in workers)

        return eventually(shared, within, f"{workers} share the clusters; {self.leases()}")

    def tenant(self, cluster: str) -> dict:
        return self.device.tenants.get(tenant_name(str(self.clusters[cluster])), {})

    def served(self, cluster: str) -> object:
        """The addresses that the device serves for the cluster's host."""
        tenant = self.tenant(cluster)
        return decide(tenant, self.host(cluster), "/") if tenant else None

    def until_served(self, within: float = 30.0) -> float:
        """Until the device serves of every cluster what is wanted."""
        return eventually(lambda: self.behind() == {}, within, f"all is served; {self.behind()}")

    def behind(self) -> dict[str, object]:
        return {c: (self.served(c), wanted) for c, wanted in self.wanted.items() if self.served(c) != wanted}

    def writes(self, cluster: str) -> list[Write]:
        """In the order in which the device did them."""
        name = tenant_name(str(self.clusters[cluster]))
        return [write for write in list(self.device.writes) if write.tenant == name]

    def outcomes(self, cluster: str) -> list[Outcome]:
        return Outcomes(self.bus).live(self.clusters[cluster])

    def close(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        deadline = time.monotonic() + 15
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        self.bus.close()
        self.server.close()
        self.device.close()
