"""Finding out to whom the proxy waits for a connection: the kernel's own list of unanswered ones (sock_diag). Shell.

A node that is lost answers nothing at all, and Docker takes 3 to 15 s to say so. Until then each of its endpoints costs
every request that tries it a connect timeout. The kernel knows at once: the proxy's connections to them stay in
SYN_SENT. Whoever is seen there twice is looked at by the prober. It needs no privilege, no log of the proxy and no
request of its own, and works for any proxy in our network namespace. A look takes two milliseconds, whatever the number
of connections.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

from interlock.runtime.logging import get_logger

EVERY = 0.15
"""Seconds between two looks; who answers does so within a few milliseconds."""

Peer = tuple[str, int]
_SOCK_DIAG = 4
_DUMP = 0x301
_BY_FAMILY = 20
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_SYN_SENT = 1 << 2
_PORTS = struct.Struct("!HH")
_TIMEOUT = 1.0
_AGAIN = 5.0


def unanswered() -> set[tuple[int, Peer]]:
    """Connections of this network namespace that wait for their first answer: own port, and whose.

    Raises OSError where the kernel cannot be asked.
    """
    return {found for family in (socket.AF_INET, socket.AF_INET6) for found in _ask(family)}


def _ask(family: socket.AddressFamily) -> set[tuple[int, Peer]]:
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, _SYN_SENT) + bytes(48)
    found: set[tuple[int, Peer]] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as link:
        link.settimeout(_TIMEOUT)
        link.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
        while True:
            data = link.recv(1 << 16)
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return found
                if kind == _ERROR or length < _HEADER.size:
                    raise OSError("the kernel does not list its sockets (inet_diag)")
                # inet_diag_msg: four bytes, the ports, then 16 bytes for each address.
                own, port = _PORTS.unpack_from(data, at + _HEADER.size + 4)
                size = 4 if family == socket.AF_INET else 16
                start = at + _HEADER.size + 24
                found.add((own, (socket.inet_ntop(family, data[start : start + size]), port)))
                at += (length + 3) & ~3


def follow(tell: Callable[[frozenset[Peer]], None], stop: threading.Event) -> None:
    """Tell who keeps the proxy waiting, at each look at which there is somebody, until stop."""
    before: set[tuple[int, Peer]] = set()
    said = False
    pause = EVERY
    while not stop.wait(pause):
        try:
            now = unanswered()
        except OSError as error:
            if not said:
                get_logger(service="extension").warning(
                    "the kernel does not say who keeps the proxy waiting; a lost node is seen when Docker says so",
                    error=str(error),
                )
            said, pause, before = True, _AGAIN, set()
            continue
        said, pause = False, EVERY
        stalled = frozenset(peer for _, peer in now & before)
        before = now
        if stalled:
            tell(stalled)
