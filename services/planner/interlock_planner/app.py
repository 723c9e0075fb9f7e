"""The planner put together: settings in, a running loop out. The only composition root of this service."""

from __future__ import annotations

from interlock.bus.connection import Bus
from interlock.runtime import health
from interlock.runtime.lifecycle import Lifecycle
from interlock.runtime.logging import get_logger
from interlock.runtime.metrics import Metrics, serve
from interlock_planner.counters import Counters
from interlock_planner.loop import PlannerLoop


def run(*, bus_url: str, name: str, region: str | None = None, metrics_addr: str = "") -> int:
    """Run a planner until SIGTERM or SIGINT; the exit status.

    `region`: plan only clusters of this region, all where None. Raises `ConfigError` for a bad URL or address.
    """
    log = get_logger(service="planner")
    metrics = Metrics("planner")
    bus = Bus.connect(bus_url, name=f"planner-{name}")
    server = serve(metrics_addr, metrics) if metrics_addr else None
    lifecycle = Lifecycle("planner")
    lifecycle.on_close("bus", bus.close)
    if server is not None:
        lifecycle.on_close("metrics", server.close)
        log.info("metrics", port=server.port)
    loop = PlannerLoop(bus, Counters(metrics), name=name, region=region)
    lifecycle.spawn("planner", lambda: loop.run(lifecycle.stop))
    lifecycle.spawn("health", lambda: health.pulse(loop.health, lifecycle.stop), once=True)
    log.info("planning", bus=bus.url, region=region or "(all)", name=name)
    return lifecycle.wait()
