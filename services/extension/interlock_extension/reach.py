"""Which endpoints are on a network that this machine has no part in. Pure.

An overlay's addresses can be reached only from a container that is attached to it: then there is a route to it that
leads over no gateway. Where there is none, no probe will ever be accepted, and the user has to be told why.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from interlock.model.outcome import Unreachable
from interlock.model.routing import Endpoint

_LOOPBACK = IPv4Network("127.0.0.0/8")
_MOST_SHOWN = 20
_UP = 0x1


def on_link(table: str) -> tuple[IPv4Network, ...]:
    """The networks of /proc/net/route's text that lead over no gateway, the default route left out."""
    found = [_LOOPBACK]
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 8:
            continue
        try:
            target, gateway, mask = (_address(words[i]) for i in (1, 2, 7))
            flags = int(words[3], 16)
        except ValueError:
            continue
        if flags & _UP and int(gateway) == 0 and int(mask) != 0:
            found.append(IPv4Network((int(target), int(mask).bit_count()), strict=False))
    return tuple(found)


def _address(word: str) -> IPv4Address:
    # Eight hexadecimal digits, the bytes in this machine's order.
    return IPv4Address(int.from_bytes(bytes.fromhex(word), sys.byteorder))


def unreachable(unheard: Iterable[Endpoint], table: str | None) -> tuple[Unreachable, ...]:
    """Of endpoints that never accepted a connection, for each service the first that lies in no network of ours."""
    if table is None:
        return ()
    ours = on_link(table)
    found: dict[str, Unreachable] = {}
    for endpoint in unheard:
        if not endpoint.network or ":" in endpoint.address:
            continue
        try:
            address = IPv4Address(endpoint.address)
        except ValueError:
            continue
        if not any(address in network for network in ours):
            one = Unreachable(
                service=endpoint.service,
                service_id=endpoint.service_id,
                address=endpoint.address,
                network=endpoint.network,
            )
            found[endpoint.service] = min(one, found.get(endpoint.service, one))
    return tuple(sorted(found.values())[:_MOST_SHOWN])
