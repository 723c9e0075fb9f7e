"""How long things take in the simulated swarm. Values only; `cli` and tests choose, the core reads.

`REAL` follows what was measured on Engine 20.10 (docs: README of the simulator); `FAST` keeps the order of things and
shrinks the waits, for tests that are about something else.
"""

from __future__ import annotations

import msgspec


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Delays in seconds. `jitter` is the share by which each start delay varies, drawn from the seeded random."""

    allocated: float
    """From a service's or network's creation to its addresses and ports; an event tells of them."""
    pending: float
    assigned: float
    preparing: float
    ready: float
    starting: float
    listen: float
    """From the process's start to its first accepted connection: running is not listening."""
    health: float
    """Extra time to `running` for a service with a health check that names no delay of its own."""
    sigterm_plain: float
    """From desired state shutdown/remove to SIGTERM, for a task on no overlay."""
    sigterm_overlay: float
    """The same for a task on an overlay network."""
    exit_seen: float
    """From the end of the process to the task's last state in the API."""
    crash_seen: float
    reaped: float
    """From `remove` and its end to a task's absence from the API."""
    restart_delay: float
    monitor: float
    """How long an update watches a new task when the service does not say."""
    node_down: float
    """From the loss of a node to its state `down`."""
    node_up: float
    jitter: float


REAL = Profile(
    allocated=0.015,
    pending=0.03,
    assigned=0.04,
    preparing=0.03,
    ready=0.15,
    starting=0.35,
    listen=0.2,
    health=0.5,
    sigterm_plain=1.15,
    sigterm_overlay=3.15,
    exit_seen=0.15,
    crash_seen=0.13,
    reaped=0.15,
    restart_delay=5.0,
    monitor=5.0,
    node_down=10.1,
    node_up=1.0,
    jitter=0.15,
)

FAST = Profile(
    allocated=0.002,
    pending=0.005,
    assigned=0.005,
    preparing=0.005,
    ready=0.01,
    starting=0.03,
    listen=0.03,
    health=0.1,
    sigterm_plain=0.3,
    sigterm_overlay=0.6,
    exit_seen=0.02,
    crash_seen=0.03,
    reaped=0.01,
    restart_delay=0.05,
    monitor=0.2,
    node_down=0.5,
    node_up=0.1,
    jitter=0.0,
)

PROFILES = {"real": REAL, "fast": FAST}
