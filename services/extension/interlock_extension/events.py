"""What the worker is told by the threads around it: values only."""

from __future__ import annotations

import msgspec

from interlock_extension.admission import Key
from interlock_extension.confirm.verdict import Ruling
from interlock_extension.intake import Lost, News, Watched


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """The first attempt at an endpoint, or its acceptance. `at`: Unix seconds."""

    key: Key
    accepted: bool
    at: float


class Stalled(msgspec.Struct, frozen=True, kw_only=True):
    """Who keeps the proxy waiting for a connection: addresses with ports."""

    peers: frozenset[tuple[str, int]]


Event = Lost | News | Watched | Probed | Ruling | Stalled
