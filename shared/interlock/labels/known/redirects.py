"""The family of redirects: hosts that only send clients elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from interlock.labels.hostnames import parse_host
from interlock.labels.known.hosts import HOSTS
from interlock.labels.label import PREFIX, Flaw, Label, Labels, Parsed
from interlock.labels.routing import Redirect, Routing
from interlock.labels.urlpaths import mistake_of, proposed_path

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^/:?#@\s]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#\s]*)?", re.IGNORECASE
)
_HOW = "Write http://old.example.com,https://new.example.com, further pairs after a semicolon"
_MOST_SHOWN = 4
_LONGEST_REMEDY = 300


class _Url(NamedTuple):
    scheme: str
    host: str
    port: str
    path: str


def parse_redirects(text: str) -> Parsed[tuple[Redirect, ...]]:
    """The good ones of `source,target;source,target;`, sorted; a flaw for each bad one. A source has one target."""
    found: dict[str, Redirect] = {}
    flaws: list[Flaw] = []
    for pair in filter(None, (each.strip() for each in text.split(";"))):
        redirect = _pair(pair)
        if isinstance(redirect, Flaw):
            flaws.append(redirect)
        elif found.setdefault(redirect.source, redirect) != redirect:
            flaws.append(_flaw(pair, f"sends {redirect.source} to a second place", "Keep one target for each host"))
    return Parsed(value=tuple(sorted(found.values())), flaws=tuple(flaws))


def _pair(pair: str) -> Redirect | Flaw:
    urls = [each.strip() for each in pair.split(",")]
    if len(urls) != 2:
        return _flaw(pair, "is not a source and a target", _HOW)
    source, target = _url(urls[0]), _url(urls[1])
    if isinstance(source, Flaw):
        return source
    if isinstance(target, Flaw):
        return target
    itself = (source.host, target.scheme) == (target.host, "http")
    rules = (
        ("*." in (source.host[:2], target.host[:2]), "has a wildcard in it", "Write each host by its name"),
        (
            source.scheme == "https",
            "redirects https, where the service itself answers",
            "Write the source with http:// in the place of https://",
        ),
        (
            source.path not in ("", "/"),
            "redirects a path",
            "Write the source without a path: a whole host is redirected",
        ),
        (itself, "redirects a host to itself", "Redirect it to https:// or elsewhere"),
    )
    for broken, reason, remedy in rules:
        if broken:
            return _flaw(pair, reason, remedy)
    mistake = mistake_of(target.path or "/")
    if mistake:
        meant = _meant(urls[1].removesuffix(target.path), target.path)
        return _flaw(urls[1], f"its path {mistake[0]}", meant or mistake[1])
    port = f":{target.port}" if target.port else ""
    path = target.path.removesuffix("/")
    return Redirect(source=source.host, target=f"{target.scheme}://{target.host}{port}{path}")


def _url(text: str) -> _Url | Flaw:
    found = _URL.fullmatch(text)
    if not found:
        return _flaw(text, "is not a URL of scheme, host and path", _HOW)
    parsed = parse_host(found["host"])
    if parsed.value is None:
        return _flaw(text, f"its host {parsed.flaws[0].reason}", _HOW)
    port = found["port"] or ""
    if port and not 0 < int(port) < 65536:
        return _flaw(text, "has a port that is out of range", "Write a port from 1 to 65535, or none")
    return _Url(found["scheme"].lower(), parsed.value, port.lstrip("0"), found["path"] or "")


def _meant(before: str, path: str) -> str:
    """The remedy that names the URL, or of a long one the path, that was probably meant; empty where none was."""
    meant = proposed_path(path)
    remedy = f"Write {before}{meant.removesuffix('/')}"
    if len(remedy) > _LONGEST_REMEDY:
        remedy = f"Write its path as {meant}"
    return remedy if meant else ""


def _flaw(value: str, reason: str, remedy: str) -> Flaw:
    return Flaw(code="redirect-invalid", value=value, reason=reason, remedy=remedy)


REDIRECTS: Label[tuple[Redirect, ...]] = Label(
    name=f"{PREFIX}redirects",
    syntax="`source,target`, further pairs after a semicolon",
    doc="Requests over plain HTTP for the host of `source`, which `hosts` must name as well, are answered with 302 to "
    "`target` (a scheme, a host, and a path if you like), followed by the path and query that were asked for. The "
    "redirected host serves nothing else. Redirects of a service that lead back to where they began, at whatever port, "
    "are left out; a redirect loop through several services is told to each of them, and in force.",
    example="http://old.example.com,http://www.example.com",
    default=(),
    default_words="none",
    parse=parse_redirects,
    field="redirects",
)


def _of_own_hosts(routing: Routing, _: Labels) -> Iterator[tuple[str, Flaw]]:
    own = _own(routing)
    for redirect in routing.redirects:
        if redirect.source not in own:
            flaw = Flaw(
                code="redirect-host",
                value=redirect.source,
                reason="is redirected, but is no host of the service, so nothing happens",
                remedy=f"Add {redirect.source} to {HOSTS.name}",
                severity="warning",
            )
            yield REDIRECTS.name, flaw


def next_host(target: str) -> str | None:
    """The host that is asked next, over plain HTTP, of a redirect's target; None where that is no matter of ours."""
    found = _URL.fullmatch(target)
    return found["host"] if found and found["scheme"] == "http" else None


def looping(targets: Mapping[str, str]) -> frozenset[str]:
    """The hosts at which a request arrives again once it has been there. `targets`: of each redirected host.

    Each host is looked at once, however many there are in a label.
    """
    found: set[str] = set()
    seen: set[str] = set()
    for first in targets:
        walk: dict[str, int] = {}
        at: str | None = first
        while at is not None and at in targets and at not in seen:
            seen.add(at)
            walk[at] = len(walk)
            at = next_host(targets[at])
        if at in walk:
            found.update([*walk][walk[at] :])
    return frozenset(found)


def loop_text(host: str, targets: Mapping[str, str]) -> str:
    """The redirect loop in which this host is, in words; of a long one the beginning."""
    hosts, at = [host], next_host(targets[host])
    while at is not None and at != host and len(hosts) < _MOST_SHOWN:
        hosts.append(at)
        at = next_host(targets[at])
    return " → ".join((*hosts, *(() if at == host else ("…",)), host))


def in_force(routing: Routing) -> tuple[Redirect, ...]:
    """Those of hosts of the service that end somewhere."""
    targets = _own(routing)
    endless = looping(targets)
    return tuple(r for r in routing.redirects if r.source in targets and r.source not in endless)


def _own(routing: Routing) -> dict[str, str]:
    hosts = frozenset(routing.hosts)
    return {redirect.source: redirect.target for redirect in routing.redirects if redirect.source in hosts}


def _endless(routing: Routing, _: Labels) -> Iterator[tuple[str, Flaw]]:
    targets = _own(routing)
    for source in sorted(looping(targets)):
        reason = f"is a redirect loop ({loop_text(source, targets)}), and so is left out"
        yield REDIRECTS.name, _flaw(f"http://{source},{targets[source]}", reason, "Remove one of these redirects")


LABELS = (REDIRECTS,)
CHECKS = (_of_own_hosts, _endless)
