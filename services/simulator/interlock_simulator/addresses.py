"""Addresses of networks: which are free, which is next. Pure; owned by `swarm`.

Lowest free first is the default, so that small subnets give an address to another task soon after it was let go: the
trap that a proxy with stale endpoints falls into. `serial` goes round the subnet first, as libnetwork does.
"""

from __future__ import annotations

import heapq
import ipaddress

from interlock_simulator.refusal import Refused

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


class Subnet:
    """The free addresses of one subnet. The first host address is the gateway and never given out."""

    def __init__(self, cidr: str, *, serial: bool = False) -> None:
        try:
            net = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise Refused(400, f"invalid subnet {cidr!r}: {error}; write it as 127.20.9.0/24") from error
        if not net.subnet_of(LOOPBACK):
            raise Refused(
                400, f"subnet {cidr} is outside 127.0.0.0/8: simulated tasks can only listen on loopback addresses"
            )
        if net.num_addresses < 4:
            raise Refused(400, f"subnet {cidr} has no room for a gateway and a task; use /29 or wider")
        self.cidr = cidr
        self.prefix = net.prefixlen
        self._base = int(net.network_address)
        self._last = int(net.broadcast_address)
        self._next = self._base + 2
        self._freed: list[int] = []
        self._used: set[int] = set()
        self._serial = serial

    @property
    def gateway(self) -> str:
        """The first host address."""
        return str(ipaddress.IPv4Address(self._base + 1))

    def take(self) -> str | None:
        """The next free address, or None when the subnet is full (tasks then stay pending)."""
        number = self._fresh() if self._serial else None
        if number is None and self._freed:
            number = heapq.heappop(self._freed)
        if number is None:
            number = self._fresh()
        if number is None:
            return None
        self._used.add(number)
        return str(ipaddress.IPv4Address(number))

    def _fresh(self) -> int | None:
        if self._next >= self._last:
            return None
        self._next += 1
        return self._next - 1

    def give_back(self, address: str) -> None:
        """Frees an address; one that is free already stays free."""
        number = int(ipaddress.IPv4Address(address))
        if number in self._used:
            self._used.discard(number)
            heapq.heappush(self._freed, number)


class Pool:
    """The default address pool, cut into subnets; the last one of the pool is kept for the nodes."""

    def __init__(self, cidr: str, size: int = 24) -> None:
        pool = ipaddress.IPv4Network(cidr)
        if not pool.subnet_of(LOOPBACK) or pool.prefixlen > size - 1:
            raise Refused(400, f"pool {cidr} must lie in 127.0.0.0/8 and hold at least two /{size} subnets")
        parts = list(pool.subnets(new_prefix=size))
        self.nodes = [str(host) for host in list(parts[-1].hosts())[:200]]
        self._parts = [str(part) for part in parts[:-1]]

    def take(self, taken: set[str]) -> str | None:
        """The first subnet of the pool that overlaps none of the taken ones; None when there is none left."""
        others = [ipaddress.IPv4Network(cidr) for cidr in taken]
        for part in self._parts:
            net = ipaddress.IPv4Network(part)
            if not any(net.overlaps(other) for other in others):
                return part
        return None
