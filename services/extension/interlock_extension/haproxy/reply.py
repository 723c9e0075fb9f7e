"""Batches of runtime commands, and what HAProxy answers to them. Pure.

Errors come as plain text: what is not known to be good is bad. An answer ends with an empty line, but not in
HAProxy 2.6 where a server could not be added, or was deleted. So such a command is followed by
a question whose answer is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from interlock.errors import ProxyUnavailable
from interlock_extension.haproxy.delta import STATE, VERSION, AddServer, Command, DelServer, retired, version, written
from interlock_extension.haproxy.routes import FOLDER
from interlock_extension.rendering.tokens import Token

MOST = 8_000
"""Bytes of a batch. HAProxy reads a line into one buffer, of 16,384 by default."""

_QUESTION = f"get map {FOLDER}/{STATE} {VERSION}"
_ANSWER = "type="

_REGISTERED = "New server registered."
_DELETED = "Server deleted."
_GONE = "No such server."
_BUSY = "Server still has connections attached to it"

_LIMIT = "connections_limit"
_FIGURES = {
    "connections_active": "CurrConns",
    _LIMIT: "Maxconn",
    "connections_accepted_total": "CumConns",
    "sessions_per_second": "SessRate",
    "requests_total": "CumReq",
}


_OLD = "# old workers"
_WORKER = re.compile(r"^(\d+)\s+worker\s", re.MULTILINE)
_RUNS = re.compile(r'value="(?P<generation>[0-9a-f]+)[ "]')
_FAILED = re.compile(r"\[failed: [1-9]")


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """Process ids: the worker that serves, None while there is none, and those that end with their connections."""

    serving: int | None
    old: tuple[int, ...]
    failed: bool = False
    """Whether the last reload came to nothing."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`done`; `later`: to be tried again when connections have ended; `refused`, with what HAProxy said."""

    what: Literal["done", "later", "refused"]
    said: str = ""


def batches(commands: Iterable[Command]) -> Iterator[tuple[Command, ...]]:
    """The same commands in the same order, each tuple one batch."""
    found: list[Command] = []
    size = 0
    for command in commands:
        length = len(_asked(command).encode())
        if found and size + length > MOST:
            yield tuple(found)
            found, size = [], 0
        found.append(command)
        size += length + 1
    if found:
        yield tuple(found)


def batch(commands: Sequence[Command]) -> Token:
    """One line for HAProxy, with its end."""
    return Token(";".join(map(_asked, commands)) + "\n")


def split(text: str, commands: Sequence[Command]) -> list[str]:
    """What HAProxy answered to each command of a batch. Raises `ProxyUnavailable` where that does not come out even."""
    lines = iter(text.split("\n")[:-1])
    found = [_answer(lines, vague=_vague(command)) for command in commands]
    answers = [answer for answer in found if answer is not None]
    rest = list(lines)
    if rest or len(answers) != len(commands):
        raise ProxyUnavailable(
            f"HAProxy gave {len(answers)} answers to {len(commands)} runtime commands, and then "
            f"{' '.join(rest)[:200]!r}; its state is unknown until it is reloaded"
        )
    return answers


def verdict(command: Command, answer: str) -> Verdict:
    """What an answer means."""
    said = answer.strip()
    if isinstance(command, AddServer):
        good = said == _REGISTERED
    elif isinstance(command, DelServer):
        if said.startswith(_BUSY):
            return Verdict(what="later", said=said)
        good = said in (_DELETED, _GONE)
    else:
        good = not said
    return Verdict(what="done") if good else Verdict(what="refused", said=said or "nothing")


def workers(text: str) -> Workers:
    """What the master says of its processes."""
    serving, _, old = text.partition(_OLD)
    now = _WORKER.findall(serving)
    return Workers(
        serving=int(now[-1]) if now else None,
        old=tuple(map(int, _WORKER.findall(old))),
        failed=_FAILED.search(serving) is not None,
    )


def ask_version() -> Token:
    """The line that asks which generation runs."""
    return Token(f"{_QUESTION}\n")


def swap_version(note: str) -> Token:
    """The line that asks so, and then says what runs from now on; to one and the same process."""
    return Token(f"{_QUESTION};{written(version(note))}\n")


def generation(said: str) -> str:
    """Of the answer to either; empty where none is told."""
    found = _RUNS.search(said)
    return found["generation"] if found else ""


def retire(pid: int) -> Token:
    """The line for the master by which an old worker hands over what it is still asked."""
    return Token(f"@!{pid:d} {written(retired())}\n")


def info(text: str) -> dict[str, str]:
    """`show info` by its names."""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {name: value for name, separator, value in pairs if separator}


def figures(found: Mapping[str, str], most: int) -> dict[str, float]:
    """HAProxy's own figures out of `show info`, by the names of `meters.PROXYS_OWN`; those that it tells.

    They are the newest worker's: what is counted begins anew with each reload. `most`: connections that clients may
    have; HAProxy tells how many it takes in all.
    """
    said = {name: found.get(of, "") for name, of in _FIGURES.items()}
    told = {name: float(value) for name, value in said.items() if value.isascii() and value.isdigit()}
    if _LIMIT in told:
        told[_LIMIT] = min(told[_LIMIT], float(most))
    return told


def _answer(lines: Iterator[str], *, vague: bool) -> str | None:
    """The next one; None where the text ends within it."""
    said: list[str] = []
    for line in lines:
        if vague and line.startswith(_ANSWER):
            return "\n".join(said) if next(lines, None) == "" else None
        if line:
            said.append(line)
        elif not vague:
            return "\n".join(said)
    return None


def _vague(command: Command) -> bool:
    return isinstance(command, AddServer | DelServer)


def _asked(command: Command) -> str:
    return f"{written(command)};{_QUESTION}" if _vague(command) else written(command)
