"""The family of backends: how a service's tasks are reached."""

from __future__ import annotations

import re

from interlock.labels.label import PREFIX, Label, Parsed, parse_text, refused
from interlock.model.routing import BackendMode

_NUMBER = re.compile(r"[0-9]{1,9}")


def parse_port(text: str) -> Parsed[int | None]:
    """1 to 65535, in decimal digits."""
    word = text.strip()
    if not _NUMBER.fullmatch(word):
        return refused(text, "is not a port number", "Write the one port that the container listens on, such as 8080")
    if not 1 <= int(word) <= 65535:
        return refused(text, "is out of range", "Write a port from 1 to 65535")
    return Parsed(value=int(word))


def parse_mode(text: str) -> Parsed[BackendMode]:
    """`task` (once called `default`) or `vip`; blank is `task`."""
    word = text.strip().lower()
    if word in ("task", "default", ""):
        return Parsed(value="task")
    if word == "vip":
        return Parsed(value="vip")
    return refused(
        text, "is no backend mode", "Write task (every task is an endpoint) or vip (the service's virtual IP)"
    )


PORT: Label[int | None] = Label(
    name=f"{PREFIX}port",
    doc="The port on which the container listens; it need not be published.",
    example="8080",
    default=None,
    parse=parse_port,
)
NETWORK: Label[str] = Label(
    name=f"{PREFIX}network",
    doc="The network on which proxies reach the tasks, with or without the name of the stack in front; "
    "needed when the service is on several.",
    example="shop_frontend",
    default="",
    parse=parse_text,
)
BACKEND_MODE: Label[BackendMode] = Label(
    name=f"{PREFIX}backend_mode",
    doc="task: every task is an endpoint. vip: the virtual IP of the service is the only one.",
    example="vip",
    default="task",
    parse=parse_mode,
)
