"""Finding out whom the proxy refused, so that the rest can proceed with the next attempt. Shell."""

from __future__ import annotations

import time
from collections.abc import Callable

from interlock.errors import ConfigRejected
from interlock.runtime.logging import get_logger
from interlock_extension.blame import culprits
from interlock_extension.change import Draft, Drafting
from interlock_extension.meters import Meters
from interlock_extension.port import Control, Renderer

LONGEST = 10.0
"""Seconds that finding whom the proxy refused may take, give or take one question: nothing else goes on meanwhile."""


class Isolation:
    """For the worker's thread. `alive` is called meanwhile, as a sign of life."""

    def __init__(
        self, drafting: Drafting, renderer: Renderer, control: Control, meters: Meters, alive: Callable[[], None]
    ) -> None:
        self._drafting = drafting
        self._renderer = renderer
        self._control = control
        self._meters = meters
        self._alive = alive
        self._log = get_logger(service="extension")

    def refused(self, draft: Draft, error: ConfigRejected) -> bool:
        """Hold back whoever is at fault; False where the next draft would be refused in the same way."""
        self._alive()
        until = time.monotonic() + LONGEST

        def go_on() -> bool:
            self._alive()
            return time.monotonic() < until

        suspects = self._drafting.suspects(draft)
        found = culprits(suspects, self._renderer.file_of, error, self._control.check, go_on)
        new = False
        for host, blame in found.items():
            self._log.warning("a virtual host was refused; its last accepted one stays", host=host, reason=blame.reason)
            new |= self._drafting.refuse(draft, host, blame, time.monotonic())
            self._meters.rejections.inc()
        if not new:
            self._log.error("the proxy refuses its configuration as a whole", error=str(error))
        return new
