"""The extension worker put together: settings in, a running proxy out. The only composition root of this service."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from interlock import __version__
from interlock.bus.connection import Bus
from interlock.errors import ConfigError
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.runtime.health import pulse
from interlock.runtime.lifecycle import Lifecycle
from interlock.runtime.logging import get_logger
from interlock.runtime.metrics import Metrics, serve
from interlock_extension import registry, stalled
from interlock_extension.confirm.loop import Confirmer
from interlock_extension.confirm.resolver import Resolver, server_of
from interlock_extension.delivery import pool
from interlock_extension.delivery.files import LastGood
from interlock_extension.drains import GUARANTEED_BUDGET, Ledger
from interlock_extension.health import ProxyHealth
from interlock_extension.herald import Herald
from interlock_extension.intake import follow
from interlock_extension.meters import Meters
from interlock_extension.pool.loop import PoolLoop
from interlock_extension.pool.seat import Failures, Seat, words
from interlock_extension.port import Extension, Fence, Settings
from interlock_extension.probe import Prober
from interlock_extension.worker import Worker

_TO_END = 5.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told. `keep_proxy`: leave the proxy running at the end; else it has `stop_timeout` seconds.

    `state_dir`: the worker's own folder, or with `shared_state` a volume in which it takes one.
    `dns`: as in `resolver.server_of`. `option_places`: where each of `proxy_options` was said, for errors.
    """

    bus_url: str
    cluster: Cluster
    state_dir: Path
    extension: str = "nginx"
    listen: tuple[str, ...] = ("8080",)
    binary: str = ""
    proxy_id: str
    drain_budget: float = GUARANTEED_BUDGET
    metrics_addr: str = ""
    keep_proxy: bool = False
    shared_state: bool = False
    stop_timeout: float = 3.0
    dns: str = ""
    proxy_options: dict[str, object] = {}
    option_places: dict[str, str] = {}
    template: str = ""


class PoolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker of a pool is told. `pool`: its name, in outcomes that of the proxy; `name`: the worker's own.

    `clusters`: the service clusters that the pool acts for; `options_for`: what is told of one of them, whose
    `bus_url`, `metrics_addr`, `shared_state`, `stop_timeout` and `dns` do not count.
    """

    bus_url: str
    region: str
    pool: str
    name: str
    extension: str
    clusters: frozenset[str]
    options_for: Callable[[str], Options]
    state_dir: Path
    shared_state: bool = False
    metrics_addr: str = ""


def run(options: Options) -> int:
    """Run a worker until SIGTERM or SIGINT; the exit status. Raises `ConfigError` and `PartMissing`."""
    lifecycle = Lifecycle("extension")
    try:
        start(options, lifecycle)
    except BaseException:
        lifecycle.close()
        raise
    return lifecycle.wait()


def start(options: Options, lifecycle: Lifecycle) -> Worker:
    """Start a worker's threads under a lifecycle, which may be shared with other services of the process."""
    metrics = Metrics("extension")
    bus = Bus.connect(options.bus_url, name=f"extension-{options.proxy_id}")
    lifecycle.on_close("bus", bus.close)
    if options.metrics_addr:
        lifecycle.on_close("metrics", serve(options.metrics_addr, metrics).close)
    take = pool.claim if options.shared_state else pool.own
    claim = take(options.state_dir, str(options.cluster))
    lifecycle.on_close("state", claim.close)
    # A user's template is tried there, and may take any time.
    with lifecycle.interruptible():
        renderer, control = _beside(options).open(_settings(options, claim.folder))
    herald = Herald(
        bus,
        options.cluster,
        Outcome(
            proxy=options.proxy_id,
            extension=options.extension,
            address=", ".join(options.listen),
            run=secrets.token_urlsafe(6),
        ),
    )
    lifecycle.on_close("outcome", herald.farewell)
    prober = Prober()
    server = server_of(options.dns)
    confirmer = Confirmer(Resolver(server)) if server else None
    worker = Worker(
        renderer=renderer,
        control=control,
        last_good=claim.last_good,
        herald=herald,
        meters=Meters(metrics),
        watch=prober.watch,
        forget=prober.forget,
        ledger=Ledger(options.drain_budget),
        stop_timeout=None if options.keep_proxy else options.stop_timeout,
        confirmer=confirmer,
        keep=claim.keep,
    )
    stop = lifecycle.stop
    # Before the worker writes it: what was last good before us must not be gone back on.
    newest = claim.last_good.version()
    lifecycle.spawn("worker", lambda: worker.run(stop), join_timeout=options.stop_timeout + _TO_END)
    lifecycle.spawn("prober", lambda: prober.run(worker.probed, stop))
    lifecycle.spawn("stalled", lambda: stalled.follow(worker.stalled, stop))
    lifecycle.spawn("intake", lambda: follow(bus, options.cluster, worker.tell, stop, newest=newest))
    if confirmer:
        told = confirmer
        lifecycle.spawn("confirmer", lambda: told.run(worker.tell, stop))
    lifecycle.spawn("herald", lambda: herald.run(stop))
    proxy_health = ProxyHealth(herald, control.witness, lambda: worker.alive_at)
    lifecycle.spawn("health", lambda: pulse(proxy_health.state, stop), once=True)
    get_logger(service="extension").info(
        "serving", cluster=str(options.cluster), proxy=options.proxy_id, listen=list(options.listen)
    )
    if server is None:
        get_logger(service="extension").info(
            "addresses are not confirmed by DNS while the bus is away",
            why="--dns off" if options.dns else "the first name server here is not Docker's, 127.0.0.11; see --dns",
        )
    return worker


def run_pool(options: PoolOptions) -> int:
    """Run a worker of a pool until SIGTERM or SIGINT; the exit status. Raises `ConfigError` and `PartMissing`."""
    lifecycle = Lifecycle("extension")
    try:
        start_pool(options, lifecycle)
    except BaseException:
        lifecycle.close()
        raise
    return lifecycle.wait()


def start_pool(options: PoolOptions, lifecycle: Lifecycle) -> PoolLoop:
    """Start a pool's worker under a lifecycle."""
    extension = registry.load(options.extension)
    if not registry.pooled(extension):
        raise ConfigError(
            f"--pool: the extension {options.extension!r} works beside its proxy, not for proxies elsewhere; leave "
            "--pool out, or name another with --extension"
        )
    metrics = Metrics("extension")
    bus = Bus.connect(options.bus_url, name=f"extension-{options.name}")
    lifecycle.on_close("bus", bus.close)
    if options.metrics_addr:
        lifecycle.on_close("metrics", serve(options.metrics_addr, metrics).close)
    claim = (pool.claim if options.shared_state else pool.own)(options.state_dir, f"pool {options.pool}")
    lifecycle.on_close("state", claim.close)
    failures = Failures()
    seats = _Seats(bus, extension, options, claim, failures)
    loop = PoolLoop(
        bus,
        name=options.name,
        region=options.region,
        pool=options.pool,
        serves=lambda cluster: cluster.name in options.clusters,
        open_seat=seats.open,
        failures=failures,
        metrics=metrics,
    )
    lifecycle.spawn("pool", lambda: loop.run(lifecycle.stop), join_timeout=4 * _TO_END)
    lifecycle.spawn("health", lambda: pulse(loop.health, lifecycle.stop), once=True)
    get_logger(service="extension").info(
        "sharing", pool=options.pool, name=options.name, clusters=sorted(options.clusters), extension=options.extension
    )
    return loop


class _Seats:
    """Makes what acts for one service cluster, under its fence. See `Seat`."""

    def __init__(
        self, bus: Bus, extension: Extension, options: PoolOptions, claim: pool.Claim, failures: Failures
    ) -> None:
        self._bus = bus
        self._extension = extension
        self._options = options
        self._claim = claim
        self._failures = failures

    def open(self, cluster: Cluster, fence: Fence) -> Seat:
        """Begin to act for the cluster. Raises `InterlockError` where nothing can be done, and what else goes wrong."""
        options = self._options.options_for(cluster.name)
        folder = self._claim.folder / "clusters" / (cluster.name or "_unnamed")
        with contextlib.ExitStack() as opened:
            last_good = LastGood(folder, str(cluster))
            opened.callback(last_good.close)
            seat = self._seat(cluster, fence, options, folder, last_good)
            opened.pop_all()
        return seat

    def _seat(self, cluster: Cluster, fence: Fence, options: Options, folder: Path, last_good: LastGood) -> Seat:
        present = Outcome(
            proxy=self._options.pool,
            extension=options.extension,
            address=", ".join(options.listen),
            run=secrets.token_urlsafe(6),
        )
        herald = Herald(self._bus, cluster, present, may=lambda: fence.token(0.0) is not None)
        try:
            renderer, control = self._extension.open(_settings(options, folder, fence))
        except Exception as error:
            herald.fail(words(error))
            raise
        prober = Prober()
        worker = Worker(
            renderer=renderer,
            control=control,
            last_good=last_good,
            herald=herald,
            # The pool's own metrics have no cluster; each cluster's figures are in its outcome.
            meters=Meters(Metrics("extension")),
            watch=prober.watch,
            forget=prober.forget,
            ledger=Ledger(options.drain_budget),
            # Not stopped with us: it is somebody else's next.
            stop_timeout=None,
            # Without the bus there is no lease, and without a lease nothing could be denied on the proxy.
            confirmer=None,
            keep=self._claim.keep,
        )
        newest = last_good.version()

        def intake(stop: threading.Event) -> None:
            follow(self._bus, cluster, worker.tell, stop, newest=newest)

        def probe(stop: threading.Event) -> None:
            prober.run(worker.probed, stop)

        loops = {"prober": probe, "intake": intake, "herald": herald.run}
        return Seat(
            str(cluster),
            worker.run,
            loops,
            failures=self._failures,
            on_failure=herald.fail,
            closers=(last_good.close,),
        )


def _beside(options: Options) -> Extension:
    extension = registry.load(options.extension)
    if registry.pooled(extension):
        raise ConfigError(
            f"the extension {options.extension!r} acts for proxies elsewhere, which workers share by lease; give --pool"
        )
    return extension


def _settings(options: Options, folder: Path, fence: Fence | None = None) -> Settings:
    return Settings(
        cluster=str(options.cluster),
        fence=fence,
        folder=folder / options.extension,
        listen=options.listen,
        binary=options.binary,
        proxy_id=options.proxy_id,
        server_info=server_info(),
        options=options.proxy_options,
        places=options.option_places,
        template=options.template,
    )


def server_info() -> str:
    """`interlock/<version> (<commit>) <os>/<arch>`, as Interlock's own header has it."""
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    commit = os.environ.get("INTERLOCK_COMMIT", "")[:8] or "unknown"
    return f"interlock/{__version__} ({commit}) {platform.system().lower()}/{arch}"
