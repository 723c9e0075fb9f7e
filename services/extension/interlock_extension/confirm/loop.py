"""The rounds of confirmation, in a thread of their own while there is anybody to ask about. Shell; `verdict` decides.

It costs one question for each service and, in turn, for up to 100 addresses a round. Measured with three tasks each: 10
services take 2 ms of us and 6 ms of the engine, so 1.5 % of a core; 100 take 18 and 28 ms, 9 %; 1,000 take 190 and 150
ms, so that a round follows only after 3.4 s, at a tenth of a core. Nothing is asked while there is no doubt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from interlock_extension.admission import Key, key_of
from interlock_extension.confirm.question import askable
from interlock_extension.confirm.resolver import TIMEOUT, Resolver, own_address
from interlock_extension.confirm.verdict import (
    Judge,
    Ruling,
    Subjects,
    first_questions,
    networks,
    second_questions,
)

EVERY = 0.5
"""Seconds between rounds. A task's address leaves DNS 1.1 s after Swarm decided to stop it; SIGTERM is at 3.1 s."""

AT_START = 1.0
"""Seconds that the first start of the proxy waits at most."""

_HEDGE = 0.1
"""Seconds after which what is not answered yet is asked about in the other direction too."""

_SHARE = 0.1
"""Of a core, for us and the engine together."""

_ENGINE = 0.00014
"""Seconds that Docker's engine works at one answer (20.10, measured)."""

_TURNS = 100


class Confirmer:
    """Asks about the latest `Subjects` that it was given. `once` belongs to who calls before `run` has any."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._judge = Judge()
        self._subjects = Subjects()
        self._changed = threading.Condition()
        self._turn = 0
        self._asked = 0

    def look(self, subjects: Subjects) -> None:
        """From now on ask about these; nobody for a rest."""
        with self._changed:
            self._subjects = subjects
            self._changed.notify()

    def once(self, subjects: Subjects) -> Ruling:
        """One round now, for no longer than `AT_START`."""
        return self._round(subjects, time.monotonic() + AT_START, known_before=True)

    def run(self, tell: Callable[[Ruling], None], stop: threading.Event) -> None:
        """The loop of the confirmer's thread."""
        while not stop.is_set():
            with self._changed:
                if not self._subjects.endpoints:
                    self._changed.wait(0.2)
                subjects = self._subjects
            if not subjects.endpoints:
                continue
            began, worked = time.monotonic(), time.thread_time()
            ruling = self._round(subjects, began + 60.0)
            if ruling:
                tell(ruling)
            # Stretched rather than expensive.
            every = max(EVERY, (time.thread_time() - worked + self._asked * _ENGINE) / _SHARE)
            stop.wait(max(0.0, began + every - time.monotonic()))

    def _round(self, subjects: Subjects, deadline: float, *, known_before: bool = False) -> Ruling:
        own = {e.network: address for e in networks(subjects.endpoints) if (address := own_address(e.address))}
        with self._resolver.batch() as batch:
            batch.ask(first_questions(subjects, own), deadline)
            batch.collect(_HEDGE, deadline)
            batch.ask(second_questions(subjects, batch.answers, self._next_turn(subjects)), deadline)
            batch.collect(2 * TIMEOUT, deadline)
            self._asked = batch.asked
            return self._judge.rule(subjects, batch.answers, own, known_before=known_before)

    def _next_turn(self, subjects: Subjects) -> set[Key]:
        asked = [endpoint for endpoint in subjects.endpoints if askable(endpoint)]
        first = self._turn if self._turn < len(asked) else 0
        self._turn = first + _TURNS
        return {key_of(endpoint) for endpoint in asked[first : self._turn]}
