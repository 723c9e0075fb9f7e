"""The family of balancing: to which of its tasks a request goes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from interlock.labels.known.backends import BACKEND_MODE
from interlock.labels.label import PREFIX, Flaw, Label, Labels, Parsed, parse_bool, refused
from interlock.labels.routing import Routing

# RFC 6265's names of cookies, which are the tokens of HTTP.
_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")


def parse_cookie(text: str) -> Parsed[str]:
    """The name of one cookie."""
    name = text.strip()
    if _COOKIE.fullmatch(name):
        return Parsed(value=name)
    remedy = "Write the name of the one cookie that the application sets, such as session, without its value"
    return refused("cookie-invalid", text, "is not the name of a cookie", remedy)


STICKY_SESSION_COOKIE: Label[str] = Label(
    name=f"{PREFIX}sticky_session_cookie",
    syntax="the name of a cookie",
    doc="Requests with the same value of this cookie go to the same task for as long as that is there. The application "
    "sets the cookie, the proxy never does. Requests without it are spread over all tasks.",
    example="session",
    default="",
    default_words="none",
    parse=parse_cookie,
    field="sticky_cookie",
)
IP_HASH: Label[bool] = Label(
    name=f"{PREFIX}ip_hash",
    syntax="`true` or `false`",
    doc="Whether requests from one client address (of IPv4 its first three bytes) go to the same task. It takes a "
    "proxy that sees its clients' addresses: its port published in host mode, since Swarm's ingress hides them. "
    "When tasks come or go, clients may move. A sticky cookie comes before it.",
    example="true",
    default=False,
    parse=parse_bool,
    field="ip_hash",
)


def _nothing_to_choose(routing: Routing, labels: Labels) -> Iterator[tuple[str, Flaw]]:
    if routing.backend_mode != "vip":
        return
    for label, asked in ((STICKY_SESSION_COOKIE, bool(routing.sticky_cookie)), (IP_HASH, routing.ip_hash)):
        if asked:
            flaw = Flaw(
                code="sticky-with-vip",
                value=labels[label.name],
                reason="has no effect with a virtual IP, behind which Docker chooses the task",
                remedy=f"Remove it, or remove {BACKEND_MODE.name}",
                severity="warning",
            )
            yield label.name, flaw


def _cookie_first(routing: Routing, labels: Labels) -> Iterator[tuple[str, Flaw]]:
    if not (routing.sticky_cookie and routing.ip_hash):
        return
    flaw = Flaw(
        code="ip-hash-with-cookie",
        value=labels[IP_HASH.name],
        reason=f"has no effect beside {STICKY_SESSION_COOKIE.name}",
        remedy="Remove one of them",
        severity="warning",
    )
    yield IP_HASH.name, flaw


LABELS: tuple[Label[str] | Label[bool], ...] = (STICKY_SESSION_COOKIE, IP_HASH)
CHECKS = (_nothing_to_choose, _cookie_first)
