"""The family of backends: how a service's tasks are reached."""

from __future__ import annotations

import re
from collections.abc import Iterator

from interlock.labels.label import PREFIX, Flaw, Label, Labels, Parsed, parse_text, refused
from interlock.labels.routing import Routing
from interlock.model.routing import BackendMode

_NUMBER = re.compile(r"[0-9]{1,9}")


def parse_port(text: str) -> Parsed[int | None]:
    """1 to 65535, in decimal digits."""
    word = text.strip()
    if not _NUMBER.fullmatch(word):
        return refused(
            "port-invalid",
            text,
            "is not a port number",
            "Write the one port that the container listens on, such as 8080",
        )
    if not 1 <= int(word) <= 65535:
        return refused("port-invalid", text, "is out of range", "Write a port from 1 to 65535")
    return Parsed(value=int(word))


def parse_mode(text: str) -> Parsed[BackendMode]:
    """`task` (once called `default`) or `vip`."""
    word = text.strip().lower()
    if word in ("task", "default"):
        return Parsed(value="task")
    if word == "vip":
        return Parsed(value="vip")
    return refused(
        "mode-invalid",
        text,
        "is no backend mode",
        "Write task (every task is an endpoint) or vip (the service's virtual IP)",
    )


PORT: Label[int | None] = Label(
    name=f"{PREFIX}port",
    syntax="a number from 1 to 65535",
    doc="The port on which the container listens; it need not be published. Of a service that is on no overlay "
    "network, the port that each task publishes in host mode for it is looked up.",
    example="8080",
    default=None,
    default_words="required",
    parse=parse_port,
    field="port",
    essential=True,
)
NETWORK: Label[str] = Label(
    name=f"{PREFIX}network",
    syntax="the name of a network",
    doc="The network on which proxies reach the tasks, with or without the name of the stack in front; "
    "needed when the service is on several.",
    example="shop_frontend",
    default="",
    default_words="the one network that the service is on",
    parse=parse_text,
    field="network",
)
BACKEND_MODE: Label[BackendMode] = Label(
    name=f"{PREFIX}backend_mode",
    syntax="`task` or `vip`",
    doc="`task`: every task is an endpoint. `vip`: the virtual IP of the service is the only one, and Docker spreads "
    "the connections; tasks then come and go without a change of the proxy. `default` is an old word for `task`.",
    example="vip",
    default="task",
    parse=parse_mode,
    field="backend_mode",
    essential=True,
)


def _port_given(_: Routing, labels: Labels) -> Iterator[tuple[str, Flaw]]:
    if labels.get(PORT.name, "").strip():
        return
    remedy = f"Set {PORT.name} to the port that the container listens on, such as {PORT.example}"
    yield PORT.name, Flaw(code="port-missing", value="", reason="the service names no port", remedy=remedy)


LABELS = (PORT, NETWORK, BACKEND_MODE)
CHECKS = (_port_given,)
