"""The engine's event ring and what a listener gets of it. Pure; `swarm` appends, `api.events` reads.

The ring holds 256 events, as Docker's does: `since` beyond that loses silently. There is no event for a task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count

import msgspec

from interlock_simulator.values import Json

RING = 256
NS = 1_000_000_000


class Event(msgspec.Struct, frozen=True):
    """One event; `nano` is its engine time in nanoseconds, `number` its place in the order of all."""

    number: int
    kind: str
    action: str
    object_id: str
    attributes: dict[str, str]
    nano: int

    def encoded(self) -> bytes:
        """One line of Docker's event stream."""
        body: Json = {
            "Type": self.kind,
            "Action": self.action,
            "Actor": {"ID": self.object_id, "Attributes": self.attributes},
            "scope": "swarm",
            "time": self.nano // NS,
            "timeNano": self.nano,
        }
        return msgspec.json.encode(body) + b"\n"


class Ring:
    """The last events. Times are strictly increasing, so that a client can de-duplicate by them."""

    def __init__(self, size: int = RING) -> None:
        self._events: deque[Event] = deque(maxlen=size)
        self._numbers = count(1)
        self._last = 0

    def append(self, kind: str, action: str, object_id: str, attributes: dict[str, str], now: float) -> Event:
        """Adds an event at `now` (seconds)."""
        self._last = max(self._last + 1, int(now * NS))
        event = Event(next(self._numbers), kind, action, object_id, attributes, self._last)
        self._events.append(event)
        return event

    def after(self, number: int) -> list[Event]:
        """Those appended after that number, oldest first, as far as the ring still holds them."""
        if not self._events or self._events[-1].number <= number:
            return []
        return [event for event in self._events if event.number > number]

    def since(self, nano: int) -> list[Event]:
        """Those at or after that time (inclusive, as Docker is), as far as the ring still holds them."""
        return [event for event in self._events if event.nano >= nano]

    @property
    def last_number(self) -> int:
        """Number of the newest event, 0 when there was none."""
        return self._events[-1].number if self._events else 0


def wanted(event: Event, filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether Docker's event filters (type, event, scope, service, node, network, …) let the event through."""
    for key, values in filters.items():
        if key == "type":
            good = event.kind in values
        elif key == "event":
            good = event.action in values
        elif key == "scope":
            good = "swarm" in values
        elif key == "label":
            good = False  # swarm events carry no labels
        else:
            name = event.attributes.get("name", "")
            good = event.kind == key and any(event.object_id.startswith(value) or value == name for value in values)
        if not good:
            return False
    return True


def instant(text: str) -> int:
    """`since`/`until` (seconds, or seconds.nanoseconds) in nanoseconds. Raises ValueError otherwise."""
    whole, _, rest = text.partition(".")
    return int(whole) * NS + int((rest + "0" * 9)[:9])
