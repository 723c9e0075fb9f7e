"""What a label is: its name, its parser, and the words to explain it. No label is named here; see `known`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Literal, TypeVar

import msgspec

from interlock.labels.routing import Routing
from interlock.model.problem import Severity

PREFIX = "com.docker.lb."
STACK = "com.docker.stack.namespace"
"""Docker's own label of a stack's services: the prefix of the names of that stack's networks."""

T = TypeVar("T")

Proxy = Literal["nginx", "haproxy"]
EVERY_PROXY: tuple[Proxy, ...] = ("nginx", "haproxy")


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a value, before it is known whose label it is. `value` is the part at fault."""

    code: str
    value: str
    reason: str
    remedy: str
    severity: Severity = "error"


class Parsed(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A label's text as a value. `value` is None where the text cannot be used at all."""

    value: T | None
    flaws: tuple[Flaw, ...] = ()


class Label(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One label. `name` is whole; `default` is what an absent (or blank) label means; `parse` never raises.

    `syntax`: how a value is written, for people. `field`: the field of `Routing` that takes the value; empty for a
    label without effect yet, and then `without` says what is missing meanwhile. `essential`: without a usable value
    the service is not routed; any other label's bad value is as if the label were absent. `default_words`: the default
    for people, where the value itself does not tell. `differs`: of proxies that take it differently, how, as what such
    a proxy does; `alike`: the values of which that does not hold.
    """

    name: str
    syntax: str
    doc: str
    example: str
    default: T
    parse: Callable[[str], Parsed[T]]
    field: str = ""
    essential: bool = False
    proxies: tuple[Proxy, ...] = EVERY_PROXY
    without: str = ""
    default_words: str = ""
    differs: Mapping[Proxy, str] = {}
    alike: tuple[T, ...] = ()

    def read(self, labels: Mapping[str, str]) -> Parsed[T]:
        """The label's value among a service's labels, `default` where it is absent or blank."""
        text = labels.get(self.name, "")
        return self.parse(text) if text.strip() else Parsed(value=self.default)

    def asked(self, labels: Mapping[str, str]) -> bool:
        """Whether the service wants anything but the default of it, be it in words that cannot be read."""
        parsed = self.read(labels)
        return bool(parsed.flaws) or parsed.value != self.default

    def depends(self, labels: Mapping[str, str]) -> bool:
        """Whether the service asks for something that each proxy may have in its own way, or not at all."""
        value = self.read(labels).value
        return value is not None and value != self.default and value not in self.alike


Labels = Mapping[str, str]
Check = Callable[[Routing, Labels], Iterable[tuple[str, Flaw]]]
"""What is wrong with all that a service asks for: names of labels, each with a flaw."""


def refused(code: str, value: str, reason: str, remedy: str) -> Parsed[T]:
    """A text that cannot be used."""
    return Parsed(value=None, flaws=(Flaw(code=code, value=value, reason=reason, remedy=remedy),))


def parse_bool(text: str) -> Parsed[bool]:
    """Only `true` is true, in any case. Anything but `true` and `false` is false with a warning."""
    word = text.strip().lower()
    if word in ("true", "false"):
        return Parsed(value=word == "true")
    flaw = Flaw(
        code="flag-invalid",
        value=text,
        reason="is neither true nor false, and so is taken as false",
        remedy="Write true or false",
        severity="warning",
    )
    return Parsed(value=False, flaws=(flaw,))


def parse_text(text: str) -> Parsed[str]:
    """Any text, without blanks around it."""
    return Parsed(value=text.strip())
