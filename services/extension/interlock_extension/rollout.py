"""What a change asks of the proxy: pure. Compares what is served with what is wanted, host by host."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from interlock_extension.admission import key_of
from interlock_extension.port import HostView, Kind

Difference = Literal["added", "removed", "routes", "endpoints"]
_KINDS: dict[Difference, Kind] = {"added": "routes", "removed": "routes", "routes": "routes", "endpoints": "endpoints"}


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """The cheapest sufficient action, with a reason for people.

    `update` changes the running proxy. `because`: one word for why it has to be a `reload`, the gravest: `structure`,
    `routes`, `endpoints`, or `drift` where the proxy does not run what it was given. A control may say
    another: `NotInPlace.what`.
    """

    action: Literal["unchanged", "update", "reload"]
    reason: str = ""
    because: str = ""


def difference(before: HostView | None, after: HostView | None) -> Difference | None:
    """How one host differs; None where a proxy would see no difference."""
    if before is None or after is None:
        return "added" if after else "removed" if before else None
    if _policy(before) != _policy(after):
        return "routes"
    return "endpoints" if _endpoints(before) != _endpoints(after) else None


def classify(
    changes: Mapping[str, tuple[HostView | None, HostView | None]],
    *,
    structure: bool = False,
    in_place: Collection[Kind] = (),
) -> Rollout:
    """The action for changed hosts, each before and after. `structure`: files that belong to no host differ.

    `in_place`: what the proxy can change while it runs.
    """
    hosts: dict[Difference, list[str]] = {}
    for host in sorted(changes):
        found = difference(*changes[host])
        if found:
            hosts.setdefault(found, []).append(host)
    said = [f"{word} {_few(hosts[word])}" for word in _KINDS if word in hosts]
    kinds: list[Kind] = ["structure"] if structure else []
    kinds += [kind for word, kind in _KINDS.items() if word in hosts]
    if structure:
        said.append("structure")
    if not said:
        return Rollout(action="unchanged")
    beyond = [kind for kind in kinds if kind not in in_place]
    if beyond:
        return Rollout(action="reload", reason="; ".join(said), because=beyond[0])
    return Rollout(action="update", reason="; ".join(said))


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"


def _policy(view: HostView) -> object:
    served = {upstream.name for upstream in view.upstreams}
    # Who says so is for people; which of its upstreams are served decides whether a path is answered at all.
    routes = [(msgspec.structs.replace(route, services=()), route.upstream in served) for route in view.host.routes]
    redirect = view.host.redirect
    return routes, redirect.target if redirect else None


def _endpoints(view: HostView) -> object:
    return [(upstream.name, sorted(key_of(e)[:2] for e in upstream.endpoints)) for upstream in view.upstreams]
