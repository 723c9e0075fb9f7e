"""The family of hosts: which names a service answers to."""

from __future__ import annotations

from interlock.labels.hostnames import parse_host
from interlock.labels.label import PREFIX, Flaw, Label, Parsed, parse_bool


def parse_hosts(text: str) -> Parsed[tuple[str, ...]]:
    """The good ones of a comma list, sorted and each once; a flaw for each bad one. Empty entries do not count."""
    names: set[str] = set()
    flaws: list[Flaw] = []
    for entry in text.split(","):
        if not entry.strip():
            continue
        parsed = parse_host(entry.strip())
        flaws.extend(parsed.flaws)
        if parsed.value is not None:
            names.add(parsed.value)
    return Parsed(value=tuple(sorted(names)), flaws=tuple(flaws))


HOSTS: Label[tuple[str, ...]] = Label(
    name=f"{PREFIX}hosts",
    doc="Host names that the service answers to, separated by commas; *.example.com for all names below one.",
    example="shop.example.com,www.example.com",
    default=(),
    parse=parse_hosts,
)
DEFAULT_BACKEND: Label[bool] = Label(
    name=f"{PREFIX}default_backend",
    doc="Whether the service answers every host that no service names.",
    example="true",
    default=False,
    parse=parse_bool,
)
