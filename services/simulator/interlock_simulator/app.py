"""The simulator's composition root: one process, one event loop, one unix socket (and a second one for
control). Shell."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import stat
import time
from pathlib import Path

import msgspec
from aiohttp import web

from interlock.errors import ConfigError
from interlock_simulator import changes
from interlock_simulator.api import cluster, control, services, system, versions
from interlock_simulator.api.middleware import Handler, gate
from interlock_simulator.api.reply import ENGINE
from interlock_simulator.engine import Engine
from interlock_simulator.profile import REAL, Profile
from interlock_simulator.swarm import Swarm
from interlock_simulator.values import Network

_LOG = logging.getLogger("interlock.simulator")
_GUARD_PORT = 7946


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line chose. `subnet` is the default address pool, empty for the first that is free."""

    socket: Path
    profile: Profile = REAL
    seed: int = 1
    subnet: str = ""
    nodes: int = 1
    managers: int = 1
    serial: bool = False
    oldest: str = "1.24"
    newest: str = "1.47"
    stop_with_parent: bool = False
    parent: int = 0


def claim_pool(wanted: str) -> tuple[str, socket.socket | None]:
    """An address pool that no other simulator on this machine uses, and the socket that keeps it ours."""
    if wanted:
        return wanted, None
    for second in range(20, 100):
        guard = socket.socket()
        try:
            guard.bind((f"127.{second}.255.254", _GUARD_PORT))
        except OSError:
            guard.close()
        else:
            return f"127.{second}.0.0/16", guard
    raise ConfigError(
        "no free address pool among 127.20.0.0/16 … 127.99.0.0/16; stop other simulators or give --subnet"
    )


def new_swarm(settings: Settings, pool: str, now: float) -> Swarm:
    """A swarm with its nodes, the ingress network and the ones every engine has."""
    rng = random.Random(settings.seed)  # noqa: S311 - a simulation that can be repeated
    swarm = Swarm(rng, settings.profile, pool=pool, serial=settings.serial)
    for number in range(1, settings.nodes + 1):
        changes.add_node(swarm, f"node{number}", "manager" if number <= settings.managers else "worker", now)
    changes.create_network(swarm, {"Name": "ingress", "Driver": "overlay", "Ingress": True}, now)
    for name, driver in (("bridge", "bridge"), ("docker_gwbridge", "bridge"), ("host", "host"), ("none", "null")):
        network = Network(id=swarm.hex_id(), name=name, driver=driver, scope="local", created=now)
        swarm.networks[network.id] = network
    return swarm


def application(engine: Engine, settings: Settings) -> web.Application:
    """The Docker API and the control API, with every path also under its version's prefix."""
    app = web.Application(middlewares=[gate], client_max_size=64 << 20)
    app[ENGINE] = engine
    app[versions.VERSIONS] = versions.Spoken(settings.oldest, settings.newest)
    plain = [*control.ROUTES, *services.ROUTES, *cluster.ROUTES, *system.ROUTES]
    for route in plain[:-1]:
        app.router.add_route(route.method, route.path, route.handler)
        if not route.path.startswith("/_sim"):
            app.router.add_route(route.method, "/v{version:[0-9]+[.][0-9]+}" + route.path, _versioned(route.handler))
    app.router.add_route("*", "/{rest:.*}", plain[-1].handler)
    return app


def _versioned(handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        spoken = request.app[versions.VERSIONS]
        versions.check(request.match_info["version"], spoken.oldest, spoken.newest)
        return await handler(request)

    return checked


class Doors:
    """The unix sockets: Docker's, which a fault can close for a while, and the control socket, which stays open."""

    def __init__(self, runner: web.AppRunner, path: Path, engine: Engine) -> None:
        self._runner = runner
        self._path = path
        self._engine = engine
        self._site: web.UnixSite | None = None
        self.control = path.with_name(path.name + ".control")

    async def open(self) -> None:
        """Opens both. Raises ConfigError when another simulator, or anything else, is there."""
        for path in (self._path, self.control):
            if path.exists():
                _check_stale(path)
        await web.UnixSite(self._runner, self.control).start()
        await self._open_main()

    async def _open_main(self) -> None:
        self._site = web.UnixSite(self._runner, self._path)
        await self._site.start()

    async def obey(self) -> None:
        """Closes Docker's socket while a `refuse` fault is in force."""
        refusing = any(entry["fault"]["kind"] == "refuse" for entry in self._engine.faults.listing(time.time()))  # type: ignore[index]
        if refusing and self._site is not None:
            await self._site.stop()
            self._site = None
        elif not refusing and self._site is None:
            self._path.unlink(missing_ok=True)
            await self._open_main()

    def remove(self) -> None:
        """Takes the sockets' files away."""
        self._path.unlink(missing_ok=True)
        self.control.unlink(missing_ok=True)


def _check_stale(path: Path) -> None:
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigError(f"--socket {path}: a file is there that is no socket; choose another path or remove it")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise ConfigError(f"--socket {path}: something answers there already; stop it or choose another path")


async def run(settings: Settings) -> None:
    """Runs until SIGTERM, SIGINT, or the parent's end. Nothing is left behind: no socket, no listener."""
    pool, guard = claim_pool(settings.subnet)
    engine = Engine(new_swarm(settings, pool, time.time()))
    engine.touch()
    runner = web.AppRunner(application(engine, settings), access_log=None, shutdown_timeout=0.2, handle_signals=False)
    await runner.setup()
    doors = Doors(runner, settings.socket, engine)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await doors.open()
        _LOG.info("simulated swarm on unix://%s, %d nodes, addresses from %s", settings.socket, settings.nodes, pool)
        await _watch(settings, engine, doors, stop)
    finally:
        await engine.close()
        await runner.cleanup()
        doors.remove()
        if guard is not None:
            guard.close()


async def _watch(settings: Settings, engine: Engine, doors: Doors, stop: asyncio.Event) -> None:
    rounds = 0
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.05)
        await doors.obey()
        rounds += 1
        if rounds % 200 == 0:
            engine.encoded.forget()
        if settings.stop_with_parent and os.getppid() != settings.parent:
            _LOG.info("the parent is gone: stopping")
            return
