"""The shell that asks DNS, against a name server on loopback: what counts as an answer, and what never does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from interlock.errors import ConfigError
from interlock_extension.confirm import resolver
from interlock_extension.confirm.question import Answer, Question, backward
from interlock_extension.confirm.resolver import TIMEOUT, Resolver, own_address, server_of
from support.dns_server import DnsServer, Odd

NAME = Question("A", "tasks.shop.web.")
FAILED = Answer()


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer() as made:
        yield made


def ask(server: DnsServer, *questions: Question, wait: float = 5.0, limit: float = 60.0) -> dict[Question, Answer]:
    deadline = time.monotonic() + limit
    with Resolver(server.address).batch() as batch:
        batch.ask(questions, deadline)
        batch.collect(wait, deadline)
        return dict(batch.answers)


def test_addresses_of_a_name_and_names_of_an_address(server: DnsServer) -> None:
    server.tasks("shop", "web", [("10.0.5.7", "t1"), ("10.0.5.8", "t2")])
    answers = ask(server, NAME, backward("10.0.5.7"), backward("10.0.5.9"))
    assert answers == {
        NAME: Answer(said=True, values=frozenset({"10.0.5.7", "10.0.5.8"})),
        backward("10.0.5.7"): Answer(said=True, values=frozenset({"shop.1.t1.web."})),
        backward("10.0.5.9"): FAILED,
    }
    # As they are, with no search domain.
    assert server.asked[0] == "tasks.shop.web."


def test_a_thousand_answers_of_which_none_is_lost(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of losses, not of time: the server here is Python's, and shares the processor with other tests.
    monkeypatch.setattr(resolver, "TIMEOUT", 30.0)
    for n in range(1000):
        server.names[f"tasks.s{n}.web."] = (f"10.0.{n // 250}.{n % 250}",)
    answers = ask(server, *(Question("A", f"tasks.s{n}.web.") for n in range(1000)))
    assert sum(answer.said for answer in answers.values()) == 1000


def test_many_addresses_come_in_one_answer(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of size, not of time, as above.
    monkeypatch.setattr(resolver, "TIMEOUT", 30.0)
    server.names[NAME.name] = tuple(f"10.0.{n // 250}.{n % 250}" for n in range(2000))
    assert len(ask(server, NAME, wait=30.0)[NAME].values) == 2000


def of(code: dns.rcode.Rcode) -> Odd:
    def odd(_: dns.message.Message, response: dns.message.Message) -> bytes:
        response.set_rcode(code)
        return response.to_wire()

    return odd


def another_question(_: dns.message.Message, response: dns.message.Message) -> bytes:
    other = dns.message.make_response(dns.message.make_query("tasks.other.web.", "A"))
    other.id, other.answer = response.id, response.answer
    return other.to_wire()


def no_response(query: dns.message.Message, _: dns.message.Message) -> bytes:
    return query.to_wire()


def empty(_: dns.message.Message, response: dns.message.Message) -> bytes:
    response.answer.clear()
    return response.to_wire()


@pytest.mark.parametrize(
    "odd",
    [
        of(dns.rcode.SERVFAIL),
        of(dns.rcode.REFUSED),
        of(dns.rcode.NXDOMAIN),
        empty,
        another_question,
        no_response,
        lambda _, response: response.to_wire()[:2] + b"\xff" * 40,
        lambda _, response: response.to_wire()[:-3],
        lambda _, response: b"\x00",
        lambda _, response: (response.id ^ 1).to_bytes(2, "big") + response.to_wire()[2:],
        lambda _, response: None,
    ],
)
def test_whatever_else_is_no_answer_and_takes_no_longer_than_it_may(server: DnsServer, odd: Odd) -> None:
    server.tasks("shop", "web", [("10.0.5.7", "t1")])
    server.odd = odd
    began = time.monotonic()
    assert ask(server, NAME) == {NAME: FAILED}
    assert time.monotonic() - began < TIMEOUT + 0.3


def test_what_was_cut_short_is_not_whole(server: DnsServer) -> None:
    def cut(_: dns.message.Message, response: dns.message.Message) -> bytes:
        response.flags |= dns.flags.TC
        return response.to_wire()

    server.tasks("shop", "web", [("10.0.5.7", "t1")])
    server.odd = cut
    assert ask(server, NAME)[NAME].whole is False


def test_what_had_not_its_time_is_neither_answered_nor_failed(server: DnsServer) -> None:
    server.silent_about_unknown = True
    assert ask(server, NAME, limit=0.1) == {}


def test_a_server_that_is_not_there_fails_at_once() -> None:
    with DnsServer() as gone:
        pass
    began = time.monotonic()
    assert ask(gone, NAME) == {NAME: FAILED}
    assert time.monotonic() - began < TIMEOUT + 0.3


def test_a_name_that_cannot_be_one_is_not_asked(server: DnsServer) -> None:
    assert ask(server, Question("A", f"tasks.{'x' * 64}.web."), Question("PTR", "no address")) == {}
    assert server.asked == []


def test_our_own_address_on_the_way_to_another() -> None:
    assert own_address("127.0.5.7") == "127.0.0.1"
    assert own_address("no address") is None


@pytest.mark.parametrize(
    ("option", "lines", "expected"),
    [
        ("off", ("nameserver 127.0.0.11",), None),
        ("", ("# Docker", "search x", "nameserver 127.0.0.11", "options ndots:0"), ("127.0.0.11", 53)),
        ("", ("nameserver 192.0.2.53", "nameserver 127.0.0.11"), None),
        ("", (), None),
        ("127.0.0.11", (), ("127.0.0.11", 53)),
        ("127.0.0.1:5353", (), ("127.0.0.1", 5353)),
    ],
)
def test_whom_to_ask(tmp_path: Path, option: str, lines: Iterable[str], expected: object) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("\n".join(lines))
    assert server_of(option, file) == expected
    assert server_of("", tmp_path / "none") is None


@pytest.mark.parametrize("option", ["dns.example", "127.0.0.1:0", "127.0.0.1:x", "::1", "127.0.0.1:65536"])
def test_what_cannot_be_asked_is_refused_with_a_remedy(option: str) -> None:
    with pytest.raises(ConfigError, match=r"such as 127\.0\.0\.11"):
        server_of(option)
