"""All labels of one service read at once: what it asks for, and Problems. Called by the planner (and by lint)."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from interlock.labels.known.clusters import SERVICE_CLUSTER
from interlock.labels.known.redirects import in_force
from interlock.labels.label import PREFIX, Flaw, Label
from interlock.labels.registry import CHECKS, LABELS
from interlock.labels.routing import Routing
from interlock.model.problem import Problem

T = TypeVar("T")

_MOST_FLAWS = 20
"""Of one label: a broken generator of labels must not fill the plan with its mistakes."""
_MOST_CHARACTERS = 200


_SHORT = {name.removeprefix(PREFIX): name for name in LABELS}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A service's labels read: `routing` is None where it cannot be routed; the problems are sorted.

    `claimed`: what a service that cannot be routed asks for all the same, as far as it can be read, so that nobody
    answers in its place; its port is 0 where none is given. None where it is routed, or cannot be told to be of here.
    """

    routing: Routing | None
    problems: tuple[Problem, ...] = ()
    claimed: Routing | None = None


def read(service: str, service_id: str, labels: Mapping[str, str]) -> Reading:
    """Read the labels of the service of this name and id. Never raises."""
    return _Reader(service, service_id, labels).read()


class _Reader:
    def __init__(self, service: str, service_id: str, labels: Mapping[str, str]) -> None:
        self.service = service
        self.service_id = service_id
        self.labels = labels
        self.problems: list[Problem] = []
        self.told: Counter[str] = Counter()
        self.claimed: Routing | None = None

    def read(self) -> Reading:
        self._foreign()
        routing = self._routing()
        for group, number in sorted(self.told.items()):
            if number > _MOST_FLAWS:
                self._more(group, number - _MOST_FLAWS)
        claimed = None if routing else self.claimed
        return Reading(routing=routing, problems=tuple(sorted(set(self.problems))), claimed=claimed)

    def _routing(self) -> Routing | None:
        values: dict[str, Any] = {}
        usable = True
        for label in LABELS.values():
            if not label.field:
                continue
            value = self._value(label)
            if value is None and label.name in self.labels:
                usable = usable and not label.essential
                value = label.default
            values[label.field] = value
        usable = usable and values["port"] is not None
        routing = Routing(**{**values, "port": values["port"] or 0})
        for check in CHECKS:
            for name, flaw in check(routing, self.labels):
                self._report(name, flaw)
        routing = settled(routing)
        if SERVICE_CLUSTER.read(self.labels).value is not None:
            self.claimed = routing
        return routing if usable and (routing.hosts or routing.default_backend) else None

    def _foreign(self) -> None:
        """Labels with our prefix that nothing reads."""
        for name in self.labels:
            if not name.startswith(PREFIX):
                continue
            label = LABELS.get(name)
            if label is None:
                # Of a name of any length, no more than could be a mistyped one is compared.
                asked = name.removeprefix(PREFIX)[:_MOST_CHARACTERS].lower()
                near = difflib.get_close_matches(asked, _SHORT, n=1, cutoff=0.7)
                remedy = f"Did you mean {_SHORT[near[0]]}?" if near else "Remove the label, or see the list of labels"
                self._warn("label-unknown", name, "is not a label of Interlock", remedy)
            elif not label.field and label.asked(self.labels):
                reason = f"is not supported yet: {label.without}"
                self._warn("label-later", name, reason, "Remove the label, or wait for a version that supports it")

    def _warn(self, code: str, name: str, reason: str, remedy: str) -> None:
        self._report(name, Flaw(code=code, value=self.labels[name], reason=reason, remedy=remedy, severity="warning"))

    def _value(self, label: Label[T]) -> T | None:
        parsed = label.read(self.labels)
        for flaw in parsed.flaws:
            self._report(label.name, flaw)
        return parsed.value

    def _report(self, key: str, flaw: Flaw) -> None:
        # Unknown labels count together: there may be any number of them.
        group = key if key in LABELS else PREFIX
        self.told[group] += 1
        if self.told[group] <= _MOST_FLAWS:
            self._tell(key, flaw)

    def _more(self, group: str, number: int) -> None:
        unknown = group == PREFIX
        told = next(p for p in self.problems if unknown or p.key == group)
        reason = f"there are {number} more that are not known" if unknown else f"has {number} more mistakes"
        remedy = "Correct those shown; the next ones follow"
        code, severity = ("label-unknown" if unknown else told.code), told.severity
        flaw = Flaw(code=code, value="", reason=reason, remedy=remedy, severity=severity)
        self._tell(group, flaw)

    def _tell(self, key: str, flaw: Flaw) -> None:
        self.problems.append(
            Problem(
                code=flaw.code,
                service=self.service,
                service_id=self.service_id,
                key=_printable(key)[:_MOST_CHARACTERS],
                value=flaw.value[:_MOST_CHARACTERS],
                reason=flaw.reason[: 2 * _MOST_CHARACTERS],
                remedy=flaw.remedy[: 2 * _MOST_CHARACTERS],
                severity=flaw.severity,
            )
        )


def _printable(key: str) -> str:
    """Names of labels are anyone's, and shown on terminals as they are."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in key)


def settled(routing: Routing) -> Routing:
    """Without what has no effect beside what else is asked for; `known` has told of it."""
    whole, virtual = routing.context_root == "/", routing.backend_mode == "vip"
    cookie = "" if virtual else routing.sticky_cookie
    return msgspec.structs.replace(
        routing,
        rewrite=routing.rewrite and not whole,
        websockets=routing.websockets if whole else (),
        sticky_cookie=cookie,
        ip_hash=routing.ip_hash and not virtual and not cookie,
        redirects=in_force(routing),
    )
