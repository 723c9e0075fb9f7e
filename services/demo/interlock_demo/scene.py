"""What the simulated Swarm of the demo runs, and what one may do to it. Talks to the simulator only.

Three small services on two hosts: the shop, its API under a context root of the same host, and a blog.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from interlock.errors import ConfigError, NotFound
from interlock_simulator.client import SimulatorClient

LABEL = "com.docker.lb."
NETWORK = "shops"
PORT = 8080
MOST_REPLICAS = 50
_FORGOTTEN_COMMA = ",www {}"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """A service of the scene. `labels` come without their prefix."""

    name: str
    replicas: int
    hosts: str
    labels: Mapping[str, str] = {}


ACTORS = (
    Actor(name="shop", replicas=2, hosts="shop.localhost"),
    Actor(name="api", replicas=3, hosts="shop.localhost", labels={"context_root": "/api"}),
    Actor(name="blog", replicas=2, hosts="blog.localhost"),
)
NAMES = tuple(actor.name for actor in ACTORS)
PATHS = (("shop.localhost", "/"), ("shop.localhost", "/api"), ("blog.localhost", "/"))
"""Every route of the scene: host and path."""

FIRST_PAGE = PATHS[0][0]

# Rolling: one task at a time, the new one first; watched briefly, so that a demo is not mostly waiting.
_UPDATE = {"Parallelism": 1, "Order": "start-first", "Monitor": 500_000_000}
# The programs listen as soon as they run, as small web servers do.
_ENV = {"PORT": str(PORT), "APP_VERSION": "1", "SIM_START_DELAY": "0.02"}


def set_up(sim: SimulatorClient) -> None:
    """Makes the network and the services. Raises `DockerError`."""
    sim.create_network(NETWORK)
    for actor in ACTORS:
        labels = {"hosts": actor.hosts, "port": str(PORT), **actor.labels}
        sim.create_service(
            actor.name,
            labels={LABEL + key: value for key, value in labels.items()},
            replicas=actor.replicas,
            image=f"demo/{actor.name}:1",
            env=_ENV,
            networks=[NETWORK],
            update_config=_UPDATE,
        )


def scale(sim: SimulatorClient, service: str, replicas: int) -> str:
    """Another number of tasks; what was done, as all of these. Raises `DockerError`, and `ConfigError` as below."""
    if not 0 <= replicas <= MOST_REPLICAS:
        raise ConfigError(f"{replicas} replicas: give 0 to {MOST_REPLICAS}")
    known(sim, service)
    sim.scale(service, replicas)
    return f"{service}: scaled to {replicas}"


def roll(sim: SimulatorClient, service: str) -> str:
    """A rolling update to the next version."""
    version = version_of(known(sim, service)) + 1
    sim.update(service, env={"APP_VERSION": str(version)}, image=f"demo/{service}:{version}")
    return f"{service}: rolling out version {version}, one task after the other"


def crash(sim: SimulatorClient, service: str) -> str:
    """SIGKILL to one task."""
    known(sim, service)
    tasks = sim.crash(service)
    if not tasks:
        return f"{service}: no task runs that could crash; try `scale {service} 2`"
    return f"{service}: killed task {tasks[0][:12]} with SIGKILL; the Swarm starts another"


def break_label(sim: SimulatorClient, service: str) -> str:
    """A mistake in a label: a comma forgotten between two hosts."""
    hosts = _hosts(known(sim, service))
    wrong = hosts + _FORGOTTEN_COMMA.format(hosts)
    sim.set_labels(service, {f"{LABEL}hosts": wrong})
    return f"{service}: set {LABEL}hosts={wrong!r}"


def mend(sim: SimulatorClient, service: str) -> str:
    """Takes that mistake back."""
    hosts = _hosts(known(sim, service))
    sim.set_labels(service, {f"{LABEL}hosts": hosts})
    return f"{service}: set {LABEL}hosts={hosts!r}"


def known(sim: SimulatorClient, service: str) -> dict[str, object]:
    """The service as Docker shows it. Raises `ConfigError` for one that is not there."""
    try:
        return sim.service(service)
    except NotFound as error:
        raise ConfigError(f"there is no service {service!r} in the demo; there are {', '.join(NAMES)}") from error


def version_of(service: Mapping[str, object]) -> int:
    """The version that its tasks are to run."""
    spec: dict[str, dict[str, dict[str, list[str]]]] = service["Spec"]  # type: ignore[assignment]  # Docker's JSON
    env = dict(pair.partition("=")[::2] for pair in spec["TaskTemplate"]["ContainerSpec"].get("Env") or [])
    return int(env.get("APP_VERSION", "1"))


def replicas(service: Mapping[str, object]) -> int:
    """How many tasks are wanted."""
    spec: dict[str, dict[str, dict[str, int]]] = service["Spec"]  # type: ignore[assignment]  # Docker's JSON
    return spec["Mode"]["Replicated"]["Replicas"]


def running(sim: SimulatorClient, service: str) -> frozenset[str]:
    """Ids of the tasks that run and are to run."""
    return frozenset(
        task["ID"]
        for task in sim.docker_tasks(service)
        if task["DesiredState"] == "running" and task["Status"]["State"] == "running"
    )


def updating(service: Mapping[str, object]) -> bool:
    """Whether a rolling update is under way."""
    status: dict[str, str] = service.get("UpdateStatus") or {}  # type: ignore[assignment]  # Docker's JSON
    return status.get("State") in {"updating", "rollback_started"}


def _hosts(service: Mapping[str, object]) -> str:
    spec: dict[str, dict[str, str]] = service["Spec"]  # type: ignore[assignment]  # Docker's JSON
    return spec["Labels"].get(f"{LABEL}hosts", "").split(",", maxsplit=1)[0]
