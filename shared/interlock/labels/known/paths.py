"""The family of paths: which part of a host a service answers for."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.labels.label import PREFIX, Flaw, Label, Labels, Parsed, parse_bool, refused
from interlock.labels.routing import Routing
from interlock.labels.urlpaths import mistake_of


def parse_context_root(text: str) -> Parsed[str]:
    """One absolute path without a slash at its end, `/` for none.

    Only plain characters: a path goes into configuration files of proxies which each have their own way of quoting,
    and compare it before or after percent-decoding.
    """
    path = text.strip()
    mistake = mistake_of(path)
    return refused("path-invalid", text, *mistake) if mistake else Parsed(value=path.removesuffix("/") or "/")


CONTEXT_ROOT: Label[str] = Label(
    name=f"{PREFIX}context_root",
    syntax="one path, such as `/app`",
    doc="The path below which the service answers: /app is /app and /app/x, not /apple. One a service; "
    "services that share a host may have different ones.",
    example="/app",
    default="/",
    default_words="the whole host",
    parse=parse_context_root,
    field="context_root",
    essential=True,
)
CONTEXT_ROOT_REWRITE: Label[bool] = Label(
    name=f"{PREFIX}context_root_rewrite",
    syntax="`true` or `false`",
    doc="Whether the context root is taken off before the request goes to the service: with `/app`, `/app/x` arrives "
    "as `/x`, and `/app` is redirected to `/app/`. What follows the context root then arrives decoded and tidied, as "
    "the proxy compares it: `%2F` as `/`, `//` as `/`. Without this label requests arrive as they were sent.",
    example="true",
    default=False,
    parse=parse_bool,
    field="rewrite",
)


def _rewrites_something(routing: Routing, labels: Labels) -> Iterator[tuple[str, Flaw]]:
    # A root that cannot be used has a problem of its own.
    if not routing.rewrite or routing.context_root != "/" or labels.get(CONTEXT_ROOT.name, "").strip() not in {"", "/"}:
        return
    yield (
        CONTEXT_ROOT_REWRITE.name,
        Flaw(
            code="rewrite-without-root",
            value=labels[CONTEXT_ROOT_REWRITE.name],
            reason="has no effect without a context root",
            remedy=f"Set {CONTEXT_ROOT.name} or remove it",
            severity="warning",
        ),
    )


LABELS = (CONTEXT_ROOT, CONTEXT_ROOT_REWRITE)
CHECKS = (_rewrites_something,)
