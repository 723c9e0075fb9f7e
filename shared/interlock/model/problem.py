"""A user's mistake as a value: it travels with the plan and never harms a neighbour."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning"]

CODES: dict[str, str] = {
    "hosts-missing": "a service with labels names no host and is not the default backend",
    "host-invalid": "a text in `hosts` is not a host name",
    "port-missing": "a service names no port",
    "port-invalid": "a port is not a number from 1 to 65535",
    "port-unpublished": "a service on no overlay network does not publish its port in host mode",
    "network-none": "a service is on no network that proxies can join",
    "network-unknown": "a service is not on the network that it names",
    "network-ambiguous": "a service is on several networks and does not say which one serves",
    "network-unreachable": "a proxy has no part in the network of a service",
    "cluster-invalid": "the name of a service cluster is none",
    "mode-invalid": "a backend mode is neither `task` nor `vip`",
    "vip-missing": "a service without a virtual IP asks to be reached by it",
    "path-invalid": "a context root is no path that every proxy can serve",
    "rewrite-without-root": "a context root is to be taken off, and there is none",
    "flag-invalid": "a value is neither `true` nor `false`",
    "cookie-invalid": "a text is not the name of a cookie",
    "sticky-with-vip": "tasks are to be chosen behind a virtual IP",
    "ip-hash-with-cookie": "a service asks for two ways of choosing a task",
    "websocket-invalid": "a websocket endpoint is no path",
    "websocket-with-root": "websocket endpoints beside a context root",
    "redirect-invalid": "a redirect is not a source and a target, or part of a redirect loop",
    "redirect-host": "the source of a redirect is no host of the service",
    "count-invalid": "a text is not a number from 0 to 999999",
    "time-invalid": "a text is not a time",
    "label-unknown": "a label with our prefix is none of ours",
    "label-later": "a label is known, and without effect in this version",
    "conflict": "services that share a host want different things of it; the oldest one's counts",
    "unreadable": "what is known of a service cannot be read",
    "refused": "the proxy refused the host's configuration; the last accepted one is held",
}
"""Every code, with what it stands for."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What is wrong with one label (or service), and what to do about it.

    `code`: what kind of mistake it is, one of `CODES`; stable, for programs. `concerned`: the names of other services
    that it is about, such as the one that had the host first.
    `error`: the service, or the part of it that the label controls, is not routed. `warning`: it is routed.
    `key` is the whole label name, or a word such as `tasks` where no label is at fault; `value` is cut at 200
    characters.
    """

    service: str
    service_id: str
    key: str
    value: str
    reason: str
    remedy: str
    severity: Severity = "error"
    code: str = ""
    concerned: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f"={self.value!r}" if self.value else ""
        return f"{self.service}: {self.key}{shown}: {self.reason}. {self.remedy}"
