"""The family of websockets: which paths may leave HTTP behind."""

from __future__ import annotations

from collections.abc import Iterator

from interlock.labels.known.paths import CONTEXT_ROOT
from interlock.labels.label import PREFIX, Flaw, Label, Labels, Parsed
from interlock.labels.routing import Routing
from interlock.labels.urlpaths import mistake_of


def parse_endpoints(text: str) -> Parsed[tuple[str, ...]]:
    """The good ones of a comma list of paths, sorted and each once; a flaw for each bad one."""
    paths: set[str] = set()
    flaws: list[Flaw] = []
    for entry in filter(None, (each.strip() for each in text.split(","))):
        mistake = mistake_of(entry)
        if mistake is None:
            paths.add(entry.removesuffix("/") or "/")
        else:
            flaws.append(Flaw(code="websocket-invalid", value=entry, reason=mistake[0], remedy=mistake[1]))
    return Parsed(value=tuple(sorted(paths)), flaws=tuple(flaws))


WEBSOCKET_ENDPOINTS: Label[tuple[str, ...]] = Label(
    name=f"{PREFIX}websocket_endpoints",
    syntax="paths, separated by commas",
    doc="The paths at which clients may open a websocket: `/ws` is `/ws` and everything below it, `/` the whole host. "
    "Other requests to them are served as anywhere. An open websocket outlives changes of the proxy; one that is "
    "silent for longer than `ReadTimeout` (600 s) is closed.",
    example="/ws,/live",
    default=(),
    default_words="none",
    parse=parse_endpoints,
    field="websockets",
)


def _of_the_whole_host(routing: Routing, labels: Labels) -> Iterator[tuple[str, Flaw]]:
    if not routing.websockets or routing.context_root == "/":
        return
    flaw = Flaw(
        code="websocket-with-root",
        value=labels[WEBSOCKET_ENDPOINTS.name],
        reason=f"has no effect beside {CONTEXT_ROOT.name}",
        remedy="Give the websockets a service, or a host, without a context root",
        severity="warning",
    )
    yield WEBSOCKET_ENDPOINTS.name, flaw


LABELS = (WEBSOCKET_ENDPOINTS,)
CHECKS = (_of_the_whole_host,)
