"""All labels of one service read at once: what it asks for, and Problems. Called by the planner (and by lint)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from interlock.labels.backends import BACKEND_MODE, NETWORK, PORT
from interlock.labels.clusters import SERVICE_CLUSTER
from interlock.labels.hosts import DEFAULT_BACKEND, HOSTS
from interlock.labels.label import PREFIX, Flaw, Label
from interlock.labels.later import LATER
from interlock.labels.paths import CONTEXT_ROOT, CONTEXT_ROOT_REWRITE
from interlock.labels.registry import KNOWN
from interlock.model.problem import Problem
from interlock.model.routing import BackendMode

T = TypeVar("T")

_MOST_FLAWS = 20
"""Of one label: a broken generator of labels must not fill the plan with its mistakes."""
_MOST_CHARACTERS = 200


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """What a service asks for. `hosts` is sorted; `network` is empty where the label is absent; `context_root` is `/`
    for the whole host."""

    hosts: tuple[str, ...]
    port: int
    network: str = ""
    service_cluster: str = ""
    context_root: str = "/"
    rewrite: bool = False
    default_backend: bool = False
    backend_mode: BackendMode = "task"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A service's labels read: `routing` is None where it cannot be routed; the problems are sorted."""

    routing: Routing | None
    problems: tuple[Problem, ...] = ()


def read(service: str, service_id: str, labels: Mapping[str, str]) -> Reading:
    """Read the labels of the service of this name and id. Never raises."""
    return _Reader(service, service_id, labels).read()


class _Reader:
    def __init__(self, service: str, service_id: str, labels: Mapping[str, str]) -> None:
        self.service = service
        self.service_id = service_id
        self.labels = labels
        self.problems: list[Problem] = []

    def read(self) -> Reading:
        self._foreign()
        routing = self._routing()
        return Reading(routing=routing, problems=tuple(sorted(set(self.problems))))

    def _routing(self) -> Routing | None:
        hosts = self._value(HOSTS) or ()
        default_backend = self._value(DEFAULT_BACKEND) or False
        port = self._value(PORT)
        network = self._value(NETWORK)
        root = self._value(CONTEXT_ROOT)
        rewrite = self._value(CONTEXT_ROOT_REWRITE) or False
        mode = self._value(BACKEND_MODE)
        cluster = self._value(SERVICE_CLUSTER)
        if not default_backend and not self.labels.get(HOSTS.name, "").strip(" ,\t\r\n"):
            remedy = f"Set {HOSTS.name}={HOSTS.example} (or {DEFAULT_BACKEND.name}=true)"
            self._report(HOSTS.name, Flaw(value="", reason="the service names no host", remedy=remedy))
        if PORT.name not in self.labels:
            remedy = f"Set {PORT.name} to the port that the container listens on, such as {PORT.example}"
            self._report(PORT.name, Flaw(value="", reason="the service names no port", remedy=remedy))
        if rewrite and root == "/":
            reason = "has no effect without a context root"
            self._report(
                CONTEXT_ROOT_REWRITE.name,
                Flaw(value="true", reason=reason, remedy=f"Set {CONTEXT_ROOT.name} or remove it", severity="warning"),
            )
        if port is None or root is None or mode is None or not (hosts or default_backend):
            return None
        if cluster is None:
            return None
        return Routing(
            hosts=hosts,
            port=port,
            network=network or "",
            service_cluster=cluster,
            context_root=root,
            rewrite=rewrite and root != "/",
            default_backend=default_backend,
            backend_mode=mode,
        )

    def _foreign(self) -> None:
        """Labels with our prefix that nothing reads."""
        for name in self.labels:
            if not name.startswith(PREFIX):
                continue
            if name in LATER:
                reason = f"is not supported yet: {LATER[name]}"
                self._warn(name, reason, "Remove the label, or wait for a version that supports it")
            elif name not in KNOWN:
                near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.8)
                remedy = f"Did you mean {near[0]}?" if near else "Remove the label, or see the list of labels"
                self._warn(name, "is not a label of Interlock", remedy)

    def _warn(self, name: str, reason: str, remedy: str) -> None:
        self._report(name, Flaw(value=self.labels[name], reason=reason, remedy=remedy, severity="warning"))

    def _value(self, label: Label[T]) -> T | None:
        parsed = label.read(self.labels)
        for flaw in parsed.flaws[:_MOST_FLAWS]:
            self._report(label.name, flaw)
        more = len(parsed.flaws) - _MOST_FLAWS
        if more > 0:
            remedy = "Correct those shown; the next ones follow"
            self._report(label.name, Flaw(value="", reason=f"has {more} more mistakes", remedy=remedy))
        return parsed.value

    def _report(self, key: str, flaw: Flaw) -> None:
        self.problems.append(
            Problem(
                service=self.service,
                service_id=self.service_id,
                key=key[:_MOST_CHARACTERS],
                value=flaw.value[:_MOST_CHARACTERS],
                reason=flaw.reason[: 2 * _MOST_CHARACTERS],
                remedy=flaw.remedy[: 2 * _MOST_CHARACTERS],
                severity=flaw.severity,
            )
        )
