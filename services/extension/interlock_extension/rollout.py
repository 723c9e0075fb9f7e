"""What a change asks of the proxy: pure. Compares what is served with what is wanted, host by host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from interlock_extension.admission import key_of
from interlock_extension.port import HostView

Kind = Literal["added", "removed", "routes", "endpoints"]
_ORDER: tuple[Kind, ...] = ("added", "removed", "routes", "endpoints")


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """The cheapest sufficient action and why: `unchanged`, or `reload` with a reason for people."""

    action: Literal["unchanged", "reload"]
    reason: str = ""


def kind(before: HostView | None, after: HostView | None) -> Kind | None:
    """How one host differs; None where a proxy would see no difference."""
    if before is None or after is None:
        return "added" if after else "removed" if before else None
    if _routes(before) != _routes(after):
        return "routes"
    return "endpoints" if _endpoints(before) != _endpoints(after) else None


def classify(changes: Mapping[str, tuple[HostView | None, HostView | None]], *, structure: bool = False) -> Rollout:
    """The action for changed hosts, each before and after. `structure`: files that belong to no host differ."""
    hosts: dict[Kind, list[str]] = {}
    for host in sorted(changes):
        found = kind(*changes[host])
        if found:
            hosts.setdefault(found, []).append(host)
    said = [f"{word} {_few(hosts[word])}" for word in _ORDER if word in hosts]
    if structure:
        said.append("structure")
    return Rollout(action="reload", reason="; ".join(said)) if said else Rollout(action="unchanged")


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"


def _routes(view: HostView) -> object:
    served = {upstream.name for upstream in view.upstreams}
    return [(route.path, route.rewrite, route.upstream, route.upstream in served) for route in view.host.routes]


def _endpoints(view: HostView) -> object:
    return [(upstream.name, sorted(key_of(e)[:2] for e in upstream.endpoints)) for upstream in view.upstreams]
