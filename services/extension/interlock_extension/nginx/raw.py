"""Raw lines of an operator (`GlobalOptions`, `HTTPOptions`, `TCPOptions`, log formats): their files, and whom to blame.

They are written as they are, each key into a file of its own, so that nginx's complaint leads back to the line. Pure.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Mapping

import msgspec

from interlock.config.fragments import directives, statements
from interlock_extension.nginx.config import NginxConfig
from interlock_extension.nginx.refusal import Refusal

GLOBAL, HTTP, TCP = "GlobalOptions", "HTTPOptions", "TCPOptions"
MAIN_FORMAT, TRACE_FORMAT = "MainLogFormat", "TraceLogFormat"
FILES = {
    GLOBAL: "global_options.conf",
    HTTP: "http_options.conf",
    TCP: "tcp_options.conf",
    MAIN_FORMAT: "main_log_format.conf",
    TRACE_FORMAT: "trace_log_format.conf",
}
"""Included by the main file where the key is given."""

REPLACEABLE = frozenset(
    {
        "client_body_buffer_size", "client_body_timeout", "client_header_buffer_size", "client_max_body_size",
        "connection_pool_size", "default_type", "keepalive_timeout", "large_client_header_buffers",
        "proxy_connect_timeout", "proxy_http_version", "proxy_next_upstream", "proxy_read_timeout",
        "proxy_send_timeout", "send_timeout", "sendfile", "server_tokens", "underscores_in_headers",
        "worker_rlimit_nofile",
    }
)  # fmt: skip
"""Directives of ours that give way to a raw line; where nginx meets any other one twice, it refuses."""

_PLACE = re.compile(r" in \S+:\d+$")
_VARIABLE = re.compile(r'unknown "(?P<name>\w+)" variable')
_INDENT = {"": GLOBAL, "    ": HTTP}


class Culprit(msgspec.Struct, frozen=True, kw_only=True):
    """The key at fault, and the item of its list, from 1; None where nginx's words lead to the key only.

    `goes_on`: its directive has no end there and takes in the next item.
    """

    key: str
    text: str
    item: int | None = None
    goes_on: bool = False


def raw_lines(config: NginxConfig) -> dict[str, tuple[str, ...]]:
    """The keys that were given, with their items."""
    formats = {MAIN_FORMAT: ("main", config.main_log_format), TRACE_FORMAT: ("trace", config.trace_log_format)}
    found = {GLOBAL: config.global_options, HTTP: config.http_options, TCP: config.tcp_options}
    found |= {key: (f"log_format {name} {text}",) if text else () for key, (name, text) in formats.items()}
    return {key: items for key, items in found.items() if items}


def raw_files(config: NginxConfig) -> dict[str, bytes]:
    """Their files, by name."""
    return {FILES[key]: "".join(f"{item}\n" for item in items).encode() for key, items in raw_lines(config).items()}


def without_raw_lines(config: NginxConfig) -> NginxConfig:
    """The same configuration as nginx would have it without them."""
    return msgspec.structs.replace(
        config, global_options=(), http_options=(), tcp_options=(), main_log_format="", trace_log_format=""
    )


def replaced(main: str, config: NginxConfig) -> str:
    """The main file without the directives of ours for which a raw line says something else."""
    given = {key: _names(items) & REPLACEABLE for key, items in raw_lines(config).items()}
    kept = (line for line in main.splitlines(keepends=True) if not _gives_way(line, given))
    return "".join(kept)


def _names(items: Iterable[str]) -> frozenset[str]:
    return frozenset(statement.name for statement in statements("\n".join(items)))


def _gives_way(line: str, given: Mapping[str, frozenset[str]]) -> bool:
    word = line.lstrip(" ")
    context = _INDENT.get(line[: len(line) - len(word)])
    return context is not None and word.split(" ", 1)[0] in given.get(context, ())


def blame(config: NginxConfig, refusal: Refusal) -> Culprit | None:
    """Whose line nginx refuses; None where that cannot be told."""
    given = raw_lines(config)
    for key, items in given.items():
        if refusal.file and refusal.file.endswith(f"/{FILES[key]}"):
            return _at(key, items, refusal)
    variable = _VARIABLE.search(refusal.said)
    if variable:
        uses = re.compile(rf"\$\{{?{variable['name']}\b")
        for key, items in given.items():
            for number, item in enumerate(items, 1):
                if uses.search(item):
                    return _culprit(key, item, number)
    return None


def _at(key: str, items: tuple[str, ...], refusal: Refusal) -> Culprit:
    # What is not closed is refused at the end of the file.
    last = [number for number, item in enumerate(items, 1) for _ in range(item.count("\n") + 1)]
    number = last[min(refusal.line or 1, len(last)) - 1]
    began = _began(items, number, refusal.said)
    found = _culprit(key, items[began - 1], began)
    return msgspec.structs.replace(found, goes_on=began < number)


def _began(items: tuple[str, ...], number: int, said: str) -> int:
    """The item in which the directive begins that nginx refused when it had read item `number`."""
    starts = [0, *itertools.accumulate(len(item) + 1 for item in items)]
    start, stop = starts[number - 1], starts[number]
    found = list(directives("\n".join(items)))
    for one in found:
        if one.begin < start < one.end:
            alone = not any(start <= other.begin < stop for other in found)
            if alone or not one.ends or f'"{one.words[0]}"' in said:
                return bisect.bisect_right(starts, one.begin)
    return number


def _culprit(key: str, item: str, number: int) -> Culprit:
    if key in {MAIN_FORMAT, TRACE_FORMAT}:
        return Culprit(key=key, text=item.split(" ", 2)[2])
    return Culprit(key=key, text=item, item=number)


def complaint(refusal: Refusal, culprit: Culprit | None = None) -> str:
    """What nginx said, without our file's name, and what to do."""
    said = _PLACE.sub("", refusal.said)
    if culprit and culprit.item and culprit.goes_on:
        return f'{said}; without a ";" it goes on into item {culprit.item + 1}: end it, or correct it'
    if "duplicate" in said:
        return f"{said}; Interlock sets that itself: use its key (`interlock config keys`), or leave the line out"
    if "unexpected" in said or "not terminated" in said:
        return f'{said}; end a directive with ";", and close each "{{" in the same list'
    return f"{said}; correct the line"
