"""Questions to Docker's DNS over UDP: shell, one socket a round, no search domains, no cache, no second try.

The engine serves 127.0.0.11 inside each container and answers within 5 ms what it knows (measured: 0.3 to 2 ms, under
load too); what is not answered within `TIMEOUT` is a failure, of which `verdict` knows what to make.
"""

from __future__ import annotations

import contextlib
import errno
import random
import select
import socket
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename

from interlock.errors import ConfigError
from interlock_extension.confirm.question import Answer, Question

DOCKER = "127.0.0.11"
TIMEOUT = 0.5
"""Seconds. A hundred times what Docker needs, and two rounds of it are over before an address comes back."""

_CHUNK = 32
_CHUNK_WAIT = 0.02
_LARGEST = 65000
"""Bytes that an answer may have. Docker cuts short what exceeds it, 40 addresses at the usual size of 1232."""

_MOST_REMEMBERED = 50_000
_RESOLV_CONF = Path("/etc/resolv.conf")


def server_of(option: str, resolv_conf: Path = _RESOLV_CONF) -> tuple[str, int] | None:
    """The server to ask; None where there is none to confirm with. Raises `ConfigError`.

    `option`: `off`, `ADDR[:PORT]`, or empty for Docker's if it is this machine's first name server: it alone knows
    the names of tasks, and it is only in containers on a network of a user's own.
    """
    if option == "off":
        return None
    if not option:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            lines = (line.split() for line in resolv_conf.read_text("utf-8").splitlines())
            first = next((words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"), "")
            return (DOCKER, 53) if first == DOCKER else None
        return None
    address, _, port = option.partition(":")
    try:
        socket.inet_pton(socket.AF_INET, address)
        number = int(port or 53)
    except (OSError, ValueError):
        number = 0
    if not 0 < number < 65536:
        raise ConfigError(
            f"--dns {option!r}: give an IPv4 address, with a port if it is not 53, such as 127.0.0.11; or off"
        )
    return address, number


def own_address(towards: str) -> str | None:
    """The address that this machine has on the way to another; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address


class Resolver:
    """Asks one server. Not for several threads at a time."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._wires: dict[Question, tuple[bytes, dns.message.Message]] = {}

    def batch(self) -> Batch:
        """For the questions of one round."""
        return Batch(self._server, self)

    def wire(self, question: Question) -> tuple[bytes, dns.message.Message] | None:
        """The question in the form in which it travels; None for a name that cannot be one."""
        found = self._wires.get(question)
        if found is None:
            try:
                name = dns.reversename.from_address(question.name) if question.kind == "PTR" else question.name
                query = dns.message.make_query(name, question.kind, use_edns=0, payload=_LARGEST)
                found = query.to_wire(), query
            except (dns.exception.DNSException, ValueError):
                return None
            if len(self._wires) >= _MOST_REMEMBERED:
                self._wires.clear()
            self._wires[question] = found
        return found


class Batch:
    """What was asked together. `answers`: what is known so far; a question that timed out has failed."""

    def __init__(self, server: tuple[str, int], resolver: Resolver) -> None:
        self.answers: dict[Question, Answer] = {}
        self._resolver = resolver
        self._server = server
        self._pending: dict[int, tuple[Question, float]] = {}
        self._next_id = random.randrange(0x10000)  # noqa: S311  # the server is this machine's own
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __enter__(self) -> Batch:
        # Connected, so that nobody else's answer reaches us, and that a refusal does.
        with contextlib.suppress(OSError):
            self._socket.connect(self._server)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._socket.close()

    def ask(self, questions: Iterable[Question], deadline: float) -> None:
        """Send them, a few at a time: a burst would overrun the sockets' buffers. `deadline`: monotonic."""
        for count, question in enumerate(questions, 1):
            if time.monotonic() >= deadline or len(self._pending) > 0xF000:
                return
            self._send(question)
            if count % _CHUNK == 0:
                self.collect(_CHUNK_WAIT, deadline)

    def _send(self, question: Question) -> None:
        found = self._resolver.wire(question)
        if found is None:
            return
        self._next_id = (self._next_id + 1) & 0xFFFF
        while self._next_id in self._pending:
            self._next_id = (self._next_id + 1) & 0xFFFF
        with contextlib.suppress(OSError):
            # What cannot be sent fails when its time is over, as if the server had been silent.
            self._socket.send(struct.pack("!H", self._next_id) + found[0][2:])
        self._pending[self._next_id] = question, time.monotonic()

    def collect(self, wait: float, deadline: float) -> None:
        """Take answers until all are there, until `wait` seconds have passed, or until `deadline` (monotonic)."""
        until = min(time.monotonic() + wait, deadline)
        while self._pending:
            self._give_up()
            left = until - time.monotonic()
            if left <= 0 or not self._pending:
                return
            oldest = next(iter(self._pending.values()))[1] + TIMEOUT - time.monotonic()
            readable, _, _ = select.select([self._socket], [], [], max(0.0, min(left, oldest)))
            if readable:
                self._receive()

    def _give_up(self) -> None:
        late = time.monotonic() - TIMEOUT
        # In the order of sending, so the first that is young enough ends it.
        for number, (question, at) in list(self._pending.items()):
            if at > late:
                return
            del self._pending[number]
            self.answers[question] = Answer()

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    data = self._socket.recv(0x10000)
                except BlockingIOError:
                    return
                except OSError as error:
                    if error.errno == errno.ECONNREFUSED:
                        self._refuse()
                    return
                self._read(data)

    def _refuse(self) -> None:
        """Nobody listens there, and to what was asked so far nobody will answer."""
        for question, _ in self._pending.values():
            self.answers[question] = Answer()
        self._pending.clear()

    def _read(self, data: bytes) -> None:
        found = self._pending.get(int.from_bytes(data[:2], "big")) if len(data) > 2 else None
        asked = self._resolver.wire(found[0]) if found else None
        if found is None or asked is None:
            return
        try:
            response = dns.message.from_wire(data, ignore_trailing=True)
        except dns.exception.DNSException:
            # Not an answer; the right one may still come.
            return
        if not response.flags & dns.flags.QR or response.question != asked[1].question:
            return
        del self._pending[response.id]
        self.answers[found[0]] = _answer(found[0], response)


def _answer(question: Question, response: dns.message.Message) -> Answer:
    kind = dns.rdatatype.from_text(question.kind)
    values = frozenset(str(record) for records in response.answer if records.rdtype == kind for record in records)
    cut = bool(response.flags & dns.flags.TC)
    if response.rcode() != dns.rcode.NOERROR:
        return Answer()
    return Answer(said=bool(values), values=values, whole=not cut)
