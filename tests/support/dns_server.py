"""A name server on loopback that answers as Docker's does, with what the test has told it. UDP, one thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.reversename
import dns.rrset

Odd = Callable[[dns.message.Message, dns.message.Message], bytes | None]
"""From a question and its right answer to what is sent instead; None for silence."""


class DnsServer:
    """`names`: address records; `owners`: the names of an address. What it has not is unknown, or silent."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        self.owners: dict[str, tuple[str, ...]] = {}
        self.silent_about_unknown = False
        self.odd: Odd | None = None
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self._thread = threading.Thread(target=self._serve)
        self._open = True

    def __enter__(self) -> DnsServer:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """It is dead from now on; the port refuses."""
        if self._open:
            self._open = False
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", self.address)
            self._thread.join()
            self._socket.close()

    @property
    def option(self) -> str:
        """For `--dns`."""
        return f"{self.address[0]}:{self.address[1]}"

    def tasks(self, service: str, network: str, owned: Iterable[tuple[str, str]]) -> None:
        """The service's tasks by (address, task id) on this network, replacing those of before."""
        found = dict(owned)
        mine = f"{service}."
        self.owners = {a: n for a, n in self.owners.items() if not n[0].startswith(mine) or a in found}
        self.owners |= {address: (f"{service}.1.{task}.{network}.",) for address, task in found.items()}
        self.names[f"tasks.{service}.{network}."] = tuple(found)
        if not found:
            del self.names[f"tasks.{service}.{network}."]

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(65535)
            if not self._open:
                return
            sent = self._answer(dns.message.from_wire(data))
            if sent is not None:
                self._socket.sendto(sent, sender)

    def _answer(self, query: dns.message.Message) -> bytes | None:
        asked = query.question[0]
        name = asked.name.to_text()
        self.asked.append(name)
        kind = "PTR" if name.endswith(".in-addr.arpa.") else "A"
        values = self.owners.get(dns.reversename.to_address(asked.name)) if kind == "PTR" else self.names.get(name)
        response = dns.message.make_response(query)
        if values:
            response.answer.append(dns.rrset.from_text_list(asked.name, 600, "IN", kind, values))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        if self.odd is not None:
            return self.odd(query, response)
        return None if not values and self.silent_about_unknown else response.to_wire()
