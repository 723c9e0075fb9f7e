"""Spec → `Workload`: what a task's container does. Pure; called by `orchestrator` for every new task.

Settings come from the container's environment, or from service-independent container labels of the same name in lower
case with dots (`SIM_START_DELAY` or `sim.start.delay`); the environment wins. Unknown ones are ignored, as a
container would.
"""

from __future__ import annotations

from interlock_simulator.refusal import Refused
from interlock_simulator.values import Json, Workload

_NS = 1_000_000_000
_OFF = {"0", "no", "false", "never", "off"}


def of(template: Json) -> Workload:
    """The workload of a task template. Raises `Refused` (400) for a value that is not a number where one is needed."""
    container = template.get("ContainerSpec") or {}
    env = dict(pair.partition("=")[::2] for pair in container.get("Env") or [])
    labels = container.get("Labels") or {}

    def text(*names: str) -> str | None:
        for name in names:
            value = env.get(name, labels.get(name.lower().replace("_", ".")))
            if value:
                return str(value)
        return None

    def number(*names: str) -> float | None:
        value = text(*names)
        try:
            return None if value is None else float(value)
        except ValueError as error:
            raise Refused(400, f"{names[0]}={value!r} is not a number; give seconds, such as 0.5") from error

    start = number("SIM_START_DELAY", "LAB_STARTUP_DELAY")
    health = number("SIM_HEALTH_DELAY")
    check = (container.get("Healthcheck") or {}).get("Test") or []
    if health is None and check and check[0] != "NONE":
        health = -1.0  # a health check without a delay of its own: the profile's
    grace = container.get("StopGracePeriod")
    return Workload(
        port=int(number("PORT", "SIM_PORT", "LAB_PORT") or 8080),
        version=text("APP_VERSION", "LAB_VERSION") or "1",
        listens=(text("SIM_LISTEN") or "yes").lower() not in _OFF,
        start_delay=start,
        health_delay=health,
        grace=10.0 if grace is None else grace / _NS,
        ignore_sigterm=(text("SIM_IGNORE_SIGTERM", "LAB_IGNORE_SIGTERM") or "no").lower() not in _OFF,
        crash_after=number("SIM_CRASH_AFTER"),
    )
