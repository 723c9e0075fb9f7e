"""Labels into the text of a stack file, which otherwise stays as it is, byte for byte. Pure.

Only whole pieces are put in, after the last label that is there (or where `deploy` and `labels` must begin). What was
meant is compared with what the new text says; an unusual layout is so a refusal and never a spoilt file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

from interlock.errors import ConfigError
from interlock_importer.tree import Node, Plain, aliased, effective, parse, plain

_BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=/*;,@!~+-]*(?::[A-Za-z0-9._=/*;,@!~+-]+)*")
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_STEP = 2


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """The new text, and why services (by name) did not get their labels."""

    text: str
    refused: dict[str, str]


class _Edit(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Characters `start` to `end` of the text become `text`."""

    start: int
    end: int
    text: str


class _Refused(Exception):
    """A place that belongs to more than the one service."""


def add(text: str, root: Node, labels: Mapping[str, Mapping[str, str]]) -> Added:
    """Add `labels` (of each service by name) to `deploy.labels` of a text that was parsed to `root`."""
    wanted = {service: each for service, each in labels.items() if each}
    refused: dict[str, str] = {}
    edits: dict[str, list[_Edit]] = {}
    newline = "\r\n" if "\r\n" in text else "\n"
    services = effective(root)["services"]
    writer = _Writer(text, newline, aliased(root), shared=services.kind == "alias")
    for service, added in wanted.items():
        try:
            edits[service] = writer.edits(services.resolved, service, added)
        except _Refused as reason:
            refused[service] = str(reason)
    done = _apply(text, [edit for each in edits.values() for edit in each])
    if _as_meant(done, root, {service: wanted[service] for service in edits}):
        return Added(text=done, refused=refused)
    # Rarely: find out whose layout it is, and leave that one out.
    good: list[_Edit] = []
    for service, each in edits.items():
        if _as_meant(_apply(text, each), root, {service: wanted[service]}):
            good += each
        else:
            refused[service] = "it is written in a way to which nothing can be added without changing it"
    return Added(text=_apply(text, good), refused=refused)


def _apply(text: str, edits: list[_Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


class _Writer:
    def __init__(self, text: str, newline: str, aliased: set[int], *, shared: bool) -> None:
        self.text = text
        self.newline = newline
        self.aliased = aliased
        self.shared = shared

    def edits(self, services: Node, name: str, labels: Mapping[str, str]) -> list[_Edit]:
        """What to change for one service."""
        found = services.own(name)
        if found is None or self.shared or services.start in self.aliased:
            raise _Refused("the service comes from an anchor")
        key, service = found
        self._unshared(service, "the service")
        step = _step(key, service)
        deploy = self._own(service, "deploy")
        if deploy is None:
            return self._append(service, {"deploy": {"labels": labels}}, step)
        if deploy[1].null:
            return self._begin(*deploy, {"labels": labels}, step, flow=service.flow)
        self._unshared(deploy[1], "its `deploy`")
        step = _step(*deploy) if deploy[1].pairs else step
        inside = self._own(deploy[1], "labels")
        if inside is None:
            return self._append(deploy[1], {"labels": labels}, step)
        if inside[1].null:
            return self._begin(*inside, labels, step, flow=deploy[1].flow)
        self._unshared(inside[1], "its `deploy.labels`")
        return self._append(inside[1], labels, step)

    def _unshared(self, node: Node, what: str) -> None:
        if node.kind == "alias" or node.start in self.aliased:
            raise _Refused(f"{what} is shared with another place of the file by an anchor")

    @staticmethod
    def _own(node: Node, key: str) -> tuple[Node, Node] | None:
        found = node.own(key)
        if found is None and key in effective(node):
            raise _Refused(f"its `{key}` comes from an anchor")
        return found

    def _append(self, node: Node, content: Mapping[str, object], step: int) -> list[_Edit]:
        """After the last entry of a map or list."""
        children = [value for _, value in node.pairs] or list(node.items)
        if node.flow:
            entries = _flow_entries(content, as_list=node.kind == "list")
            at = children[-1].end if children else node.end - 1
            return [_Edit(start=at, end=at, text=f"{', ' if children else ''}{entries}")]
        dash = "- " if node.kind == "list" else ""
        return [self._lines(node.end, _block(content, node.column, step, dash))]

    def _begin(self, key: Node, value: Node, content: Mapping[str, object], step: int, *, flow: bool) -> list[_Edit]:
        """Below a key without a value."""
        if flow:
            return [_Edit(start=value.start, end=value.end, text=f" {{{_flow_entries(content, as_list=False)}}}")]
        gone = [_Edit(start=value.start, end=value.end, text="")] if value.value else []
        return [*gone, self._lines(value.end, _block(content, key.column + step, step, ""))]

    def _lines(self, end: int, lines: list[str]) -> _Edit:
        """Lines of their own after the one in which something ends."""
        # The end of a block of text (`|`) is the beginning of the next line already.
        at = end if self.text[end - 1 : end] == "\n" else self.text.find("\n", end) + 1
        before = ""
        if at == 0:
            at = len(self.text)
            before = self.newline
        return _Edit(start=at, end=at, text=before + "".join(line + self.newline for line in lines))


def _step(key: Node, value: Node) -> int:
    """How far the file indents what belongs to a key."""
    if value.kind != "map" or value.flow or not value.pairs:
        return _STEP
    return max(value.column - key.column, 1)


def _block(content: Mapping[str, object], column: int, step: int, dash: str) -> list[str]:
    lines: list[str] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            lines += [f"{' ' * column}{key}:", *_block(value, column + step, step, "")]
        elif dash:
            item = f"{key}={value}"
            lines.append(f"{' ' * column}{dash}{item if _BARE.fullmatch(item) else _quoted(item)}")
        else:
            lines.append(f"{' ' * column}{key}: {_quoted(str(value))}")
    return lines


def _flow_entries(content: Mapping[str, object], *, as_list: bool) -> str:
    if as_list:
        return ", ".join(_quoted(f"{key}={value}") for key, value in content.items())
    parts = []
    for key, value in content.items():
        inner = f"{{{_flow_entries(value, as_list=False)}}}" if isinstance(value, Mapping) else _quoted(str(value))
        parts.append(f"{_quoted(key)}: {inner}")
    return ", ".join(parts)


def _quoted(text: str) -> str:
    """In double quotes, as YAML and JSON have them."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _as_meant(text: str, before: Node, labels: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the text says what it said before, and the labels."""
    try:
        after = plain(parse(text))
    except ConfigError:
        return False
    meant = plain(before)
    for service, each in labels.items():
        place = meant
        for key in ("services", service, "deploy", "labels"):
            if not isinstance(place, dict):
                return False
            if key not in place or isinstance(place[key], tuple):
                place[key] = {}
            place = place[key]
        if isinstance(place, list):
            place += [f"{key}={value}" for key, value in each.items()]  # type: ignore[misc]
        elif isinstance(place, dict):
            place |= each  # type: ignore[arg-type]
    return _texts(after, meant)


def _texts(after: Plain | str, meant: Plain | str) -> bool:
    """Equal, where a bare text of `meant` stands for any scalar of that text."""
    if isinstance(meant, dict) and isinstance(after, dict):
        return list(meant) == list(after) and all(_texts(after[key], meant[key]) for key in meant)
    if isinstance(meant, list) and isinstance(after, list):
        return len(meant) == len(after) and all(map(_texts, after, meant))
    if isinstance(meant, str) and isinstance(after, tuple):
        return after[0] == meant and not after[1]
    return after == meant
