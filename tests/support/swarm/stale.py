"""For a bus that is away on a real Swarm: a small overlay whose addresses come back soon, and who answers meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from interlock.bus.outcomes import Outcomes
from interlock.model.names import Cluster
from interlock_extension.nginx import family
from support.swarm import images
from support.swarm.commands import run, until
from support.swarm.product import Product

SMALL = "small"
_SUBNET = "10.90.0.0/28"


@contextmanager
def small_network(product: Product) -> Iterator[None]:
    """An overlay of 13 addresses, of which the proxy's container and each node's balancer have one."""
    manager = product.swarm.manager()
    manager.docker("network", "create", "-d", "overlay", "--attachable", "--subnet", _SUBNET, SMALL)
    try:
        manager.docker("network", "connect", SMALL, "gate")
        yield
    finally:
        services = manager.docker("service", "ls", "-q").split()
        manager.docker("service", "rm", *services, check=False)
        manager.docker("network", "disconnect", "-f", SMALL, "gate", check=False)

        def gone() -> bool:
            manager.docker("network", "rm", SMALL, check=False)
            return SMALL not in manager.docker("network", "ls", "--format", "{{.Name}}").split()

        until(gone, 60, "the small network goes")


def service_on_small(product: Product, name: str, *, replicas: int = 1, labelled: bool = False) -> None:
    """A service on the small overlay alone, without a virtual IP, that answers with its name for a version."""
    labels = ("--label", f"com.docker.lb.hosts={name}.test", "--label", "com.docker.lb.port=8080") if labelled else ()
    product.swarm.docker(
        "service", "create", "-d", "-q", "--no-resolve-image", "--name", name, "--replicas", str(replicas),
        "--endpoint-mode", "dnsrr", "--network", SMALL, "--env", f"VERSION={name}", *labels, images.BACKEND,
    )  # fmt: skip


def addresses(product: Product, name: str) -> set[str]:
    """Those of the service's running tasks."""
    swarm = product.swarm
    tasks = swarm.docker("service", "ps", "-q", "--no-trunc", "--filter", "desired-state=running", name).split()
    if not tasks:
        return set()
    said = swarm.docker("inspect", "-f", "{{.Status.State}} {{.NetworksAttachments}}", *tasks)
    running = [line for line in said.splitlines() if line.startswith("running ")]
    return {found for line in running for found in re.findall(r"10\.90\.0\.\d+(?=/)", line) if found != "10.90.0.0"}


def kill_proxy(product: Product) -> None:
    """The worker and its nginx at once, as when their container is killed."""
    worker = product._processes["interlock-extension"]
    master = family.master_of((product.swarm.folder / "state" / "nginx").resolve())
    assert master is not None
    pids = [master.pid, *(int(pid) for pid in run("pgrep", "-P", str(master.pid)).split())]
    worker.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    worker.wait()


def start_proxy(product: Product) -> None:
    """The worker as it was started before."""
    before = product._processes["interlock-extension"]
    with (product._folder / "replacement.log").open("wb") as log:
        product._processes["interlock-extension"] = subprocess.Popen(before.args, stdout=log, stderr=log)


def hears(product: Product) -> bool:
    """Whether the worker says by the bus that it reads it."""
    return any(o.stale_since is None for o in Outcomes(product.bus).live(Cluster("default", "")))


class Asking:
    """Asks hosts again and again from within the proxy's network. `seen`: by host, the version or else the status."""

    def __init__(self, product: Product, *hosts: str) -> None:
        self.seen: dict[str, Counter[str]] = {host: Counter() for host in hosts}
        self._product = product
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            for host, seen in self.seen.items():
                status, said = self._product.ask(host)
                seen[said.get("version") or str(status)] += 1
            time.sleep(0.01)
