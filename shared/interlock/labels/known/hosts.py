"""The family of hosts: which names a service answers to."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.labels.hostnames import parse_host
from interlock.labels.label import PREFIX, Flaw, Label, Labels, Parsed, parse_bool
from interlock.labels.routing import Routing


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
    syntax="host names, separated by commas; `*.example.com` for all names below one",
    doc="The names that the service answers to, in any case; international names as they are or in punycode. "
    "Services that name the same host share it: requests go to the tasks of all of them.",
    example="shop.example.com,www.example.com",
    default=(),
    default_words="required, unless the service is the default backend",
    parse=parse_hosts,
    field="hosts",
)
DEFAULT_BACKEND: Label[bool] = Label(
    name=f"{PREFIX}default_backend",
    syntax="`true` or `false`",
    doc="Whether the service answers every host that no service names. Several such services of a service cluster "
    "share these hosts as any other host: requests go to the tasks of all of them, and of settings that can only be "
    "one, the oldest service's count. A younger one that names no host which the oldest names too is told.",
    example="true",
    default=False,
    parse=parse_bool,
    field="default_backend",
)


def _named(routing: Routing, labels: Labels) -> Iterator[tuple[str, Flaw]]:
    if routing.default_backend or any(map(str.strip, labels.get(HOSTS.name, "").split(","))):
        return
    remedy = f"Set {HOSTS.name}={HOSTS.example} (or {DEFAULT_BACKEND.name}=true)"
    yield HOSTS.name, Flaw(code="hosts-missing", value="", reason="the service names no host", remedy=remedy)


LABELS = (HOSTS, DEFAULT_BACKEND)
CHECKS = (_named,)
