"""A policy that is held: what stays in force of a host while its newer policy is on trial, or is refused."""

from __future__ import annotations

import msgspec

from interlock.model.routing import VirtualHost


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The last policy of a host that proxies accepted; never an address.

    `policy`: None where none ever was accepted. `between`: those that were published after it, and not long enough to
    be heard of, before the newest one; oldest first. `refused`: the digest of the policy that was refused, empty while
    the newer one is on trial. `reason`: what the proxy said. `proxies`: who refused it. `since`: Unix seconds.
    `runs`: for each proxy the run of its worker, so that another run of it counts as mended. `services`: ids of the
    host's services then.
    """

    policy: VirtualHost | None = None
    between: tuple[VirtualHost, ...] = ()
    refused: str = ""
    reason: str = ""
    proxies: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    since: float = 0.0
    services: tuple[str, ...] = ()
