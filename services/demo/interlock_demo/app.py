"""The demo put together, and what its commands do. The only composition root of this package."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import time
from collections.abc import Callable

from interlock.errors import ConfigError, DockerError, InterlockError
from interlock.runtime import logging
from interlock.runtime.lifecycle import Lifecycle
from interlock_demo import place, scene
from interlock_demo.screen import screen
from interlock_demo.session import Session, url
from interlock_simulator.client import SimulatorClient

RATE = 40.0
_LOOK = 0.05
_SET_CHILD_SUBREAPER = 36
_STOPS_WITHIN = 20.0


def up(*, port: int, rate: float) -> int:
    """Runs the demo until Ctrl-C, SIGTERM, or the end of the parent that was named; the exit status.

    Where one runs already, says how to reach it. Raises `InterlockError` when it cannot start.
    """
    logging.configure("error")
    here = place.Place.here()
    if not here.take():
        sys.stdout.write(_running(here.taken()) + "\n")
        return 0
    # Whatever the leash would leave to nobody, were it killed, comes to us.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    lifecycle = Lifecycle("demo")
    shown = screen()
    try:
        Session(here, shown, wanted=port, rate=rate).run(lifecycle.stop)
    finally:
        here.release()
        lifecycle.close()
    with contextlib.suppress(OSError):
        shown.say("Stopped: no process and no port is left.")
    return 0


def down() -> str:
    """Stops the demo that runs; what was done. Raises `InterlockError` when it does not end."""
    here = place.Place.here()
    card = here.taken()
    if card is None or not card.identity.send_signal(signal.SIGTERM):
        return "no demo runs here"
    deadline = time.monotonic() + _STOPS_WITHIN
    while card.identity.alive():
        if time.monotonic() > deadline:
            raise InterlockError(f"the demo (pid {card.pid}) did not end in {_STOPS_WITHIN:.0f} s; kill -9 {card.pid}")
        time.sleep(_LOOK)
    return "the demo is stopped"


def act(action: Callable[[SimulatorClient], str]) -> str:
    """Does something to the Swarm of the demo that runs; what was done. Raises `InterlockError`."""
    here = place.Place.here()
    if here.taken() is None:
        raise ConfigError(f"no demo runs here; start one in another terminal: {place.command()} demo up")
    try:
        return action(SimulatorClient(here.layout.docker))
    except DockerError as error:
        raise InterlockError(f"the simulated Swarm does not do that: {error}") from error


def _running(card: place.Announced | None) -> str:
    command = place.command()
    if card is None:
        return f"A demo is just ending in {place.Place.here().folder}; try again in a moment."
    where = f" at {url(scene.FIRST_PAGE, card.port)}" if card.port else ", and is just starting"
    return (
        f"A demo runs already{where} (pid {card.pid}).\n"
        f"Look at it: {command} status   Play: {command} demo scale shop 5   Stop it: {command} demo down"
    )
