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
_MOST_ORDERS = 8
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


class _Known:
    """A question in the form in which it travels, and answers to it that were read before.

    Reading one costs ten times what the rest of a question does, and the next is nearly always the same.
    """

    __slots__ = ("_read", "query", "wire")

    def __init__(self, question: Question) -> None:
        name = dns.reversename.from_address(question.name) if question.kind == "PTR" else question.name
        self.query = dns.message.make_query(name, question.kind, use_edns=0, payload=_LARGEST)
        self.wire = self.query.to_wire()
        self._read: dict[bytes, Answer] = {}

    def read(self, data: bytes) -> Answer | None:
        """The answer that these bytes are; None where they are none."""
        # Without the number, which differs. Docker gives addresses in any order.
        body = data[2:]
        found = self._read.get(body)
        if found is None:
            found = self._parse(data)
            if found is not None:
                if len(self._read) >= _MOST_ORDERS:
                    self._read.clear()
                self._read[body] = found
        return found

    def _parse(self, data: bytes) -> Answer | None:
        try:
            response = dns.message.from_wire(data, ignore_trailing=True)
        except dns.exception.DNSException:
            return None
        if not response.flags & dns.flags.QR or response.question != self.query.question:
            return None
        if response.rcode() != dns.rcode.NOERROR:
            return Answer()
        kind = self.query.question[0].rdtype
        values = frozenset(str(record) for records in response.answer if records.rdtype == kind for record in records)
        return Answer(said=bool(values), values=values, whole=not response.flags & dns.flags.TC)


class Resolver:
    """Asks one server. Not for several threads at a time."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._known: dict[Question, _Known] = {}

    def batch(self) -> Batch:
        """For the questions of one round."""
        return Batch(self._server, self)

    def known(self, question: Question) -> _Known | None:
        """The question ready to be sent; None for a name that cannot be one."""
        found = self._known.get(question)
        if found is None:
            try:
                found = _Known(question)
            except (dns.exception.DNSException, ValueError):
                return None
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[question] = found
        return found


class Batch:
    """What was asked together. `answers`: what is known so far; a question that timed out has failed.

    `asked`: how many were sent.
    """

    def __init__(self, server: tuple[str, int], resolver: Resolver) -> None:
        self.answers: dict[Question, Answer] = {}
        self.asked = 0
        self._resolver = resolver
        self._server = server
        self._pending: dict[int, tuple[_Known, Question, float]] = {}
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
        known = self._resolver.known(question)
        if known is None:
            return
        self.asked += 1
        self._next_id = (self._next_id + 1) & 0xFFFF
        while self._next_id in self._pending:
            self._next_id = (self._next_id + 1) & 0xFFFF
        with contextlib.suppress(OSError):
            # What cannot be sent fails when its time is over, as if the server had been silent.
            self._socket.send(struct.pack("!H", self._next_id) + known.wire[2:])
        self._pending[self._next_id] = known, question, time.monotonic()

    def collect(self, wait: float, deadline: float) -> None:
        """Take answers until all are there, until `wait` seconds have passed, or until `deadline` (monotonic)."""
        until = min(time.monotonic() + wait, deadline)
        while self._pending:
            self._give_up()
            left = until - time.monotonic()
            if left <= 0 or not self._pending:
                return
            oldest = next(iter(self._pending.values()))[2] + TIMEOUT - time.monotonic()
            readable, _, _ = select.select([self._socket], [], [], max(0.0, min(left, oldest)))
            if readable:
                self._receive()

    def _give_up(self) -> None:
        late = time.monotonic() - TIMEOUT
        # In the order of sending, so the first that is young enough ends it.
        for number, (_, question, at) in list(self._pending.items()):
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
        for _, question, _ in self._pending.values():
            self.answers[question] = Answer()
        self._pending.clear()

    def _read(self, data: bytes) -> None:
        number = int.from_bytes(data[:2], "big")
        found = self._pending.get(number) if len(data) > 2 else None
        if found is None:
            return
        known, question, _ = found
        answer = known.read(data)
        # What is none is passed over: the right one may still come.
        if answer is not None:
            del self._pending[number]
            self.answers[question] = answer
