"""YAML as a tree that knows where each node stands in the text. Pure; the only import of `yaml`.

Nothing is resolved: a scalar is its text, an alias points at its node. So nothing a file holds can grow in memory, and
what is not touched needs no writing back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec
import yaml
from yaml import events

from interlock.errors import ConfigError

_DEEPEST = 60
_NULL = "tag:yaml.org,2002:null"
NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node. `start` and `end` are characters of the text: of a block, to the end of its last scalar.

    `value`: a scalar's text or an alias' name. `plain`: a scalar without quotes. `flow`: a collection in brackets.
    `column`: of its first character; of a block list, of its first dash. `pairs` of a map, in order; `items` of a list.
    """

    kind: Literal["scalar", "map", "list", "alias"]
    start: int
    end: int
    column: int
    value: str = ""
    plain: bool = False
    flow: bool = False
    tag: str = ""
    anchor: str = ""
    pairs: tuple[tuple[Node, Node], ...] = ()
    items: tuple[Node, ...] = ()
    target: Node | None = None

    @property
    def resolved(self) -> Node:
        """The node itself, or what an alias stands for."""
        return self.target or self

    @property
    def null(self) -> bool:
        """Whether it is nothing: `key:` or `key: ~`."""
        return self.kind == "scalar" and (self.tag == _NULL or (self.plain and not self.tag and self.value in NULLS))

    def own(self, key: str) -> tuple[Node, Node] | None:
        """Key and value of a map, as written in it."""
        return next(((k, v) for k, v in self.pairs if k.value == key), None)


Plain: TypeAlias = "dict[str, Plain] | list[Plain] | tuple[str, str, str]"


def parse(text: str) -> Node:
    """The one document of a YAML text. Raises `ConfigError` with the line."""
    try:
        return _Builder(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"is not YAML{place}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"is not YAML: {str(error).splitlines()[0]}") from error


def _mark(mark: Any) -> Any:
    """A place; the library's types allow none, its parser always tells."""
    return mark


class _Builder:
    def __init__(self, stream: Iterator[events.Event]) -> None:
        self.stream = stream
        self.anchors: dict[str, Node] = {}

    def document(self) -> Node:
        """What the stream holds."""
        root: Node | None = None
        for event in self.stream:
            if not isinstance(event, events.DocumentStartEvent):
                continue
            if root is not None:
                raise ConfigError("holds several documents; a stack file is one")
            root = self._node(next(self.stream), 0)
        if root is None:
            raise ConfigError("is empty")
        return root

    def _node(self, event: events.Event, depth: int) -> Node:
        begins, ends = _mark(event.start_mark), _mark(event.end_mark)
        if depth > _DEEPEST:
            raise ConfigError(f"is nested deeper than {_DEEPEST} levels in line {begins.line + 1}")
        start, end, column = begins.index, ends.index, begins.column
        if isinstance(event, events.AliasEvent):
            return Node(
                kind="alias", start=start, end=end, column=column, value=event.anchor or "", target=self._target(event)
            )
        anchor, tag = getattr(event, "anchor", None) or "", getattr(event, "tag", None) or ""
        if isinstance(event, events.ScalarEvent):
            plain = event.style is None
            # Escapes can write what no encoding can carry.
            value = event.value.encode("utf-8", "replace").decode()
            node = Node(
                kind="scalar", start=start, end=end, column=column, value=value, plain=plain, tag=tag,
                anchor=anchor,
            )  # fmt: skip
        elif isinstance(event, events.CollectionStartEvent):
            node = self._collection(event, anchor, tag, depth)
        else:
            raise ConfigError(f"is not YAML in line {begins.line + 1}")
        if anchor:
            self.anchors[anchor] = node
        return node

    def _target(self, event: events.AliasEvent) -> Node:
        target = self.anchors.get(event.anchor or "")
        if target is None:
            line = _mark(event.start_mark).line + 1
            raise ConfigError(f"names *{event.anchor} in line {line}, and no &{event.anchor} is complete before it")
        return target.resolved

    def _collection(self, event: events.CollectionStartEvent, anchor: str, tag: str, depth: int) -> Node:
        begins = _mark(event.start_mark)
        children: list[Node] = []
        for inner in self.stream:
            if isinstance(inner, events.CollectionEndEvent):
                break
            children.append(self._node(inner, depth + 1))
        flow = bool(event.flow_style)
        end = _mark(inner.end_mark).index if flow or not children else children[-1].end
        is_map = isinstance(event, events.MappingStartEvent)
        pairs = tuple(zip(children[::2], children[1::2], strict=True)) if is_map else ()
        _check_keys(pairs)
        return Node(
            kind="map" if is_map else "list",
            start=begins.index,
            end=end,
            column=begins.column,
            flow=flow,
            tag=tag,
            anchor=anchor,
            pairs=pairs,
            items=() if is_map else tuple(children),
        )


def _check_keys(pairs: tuple[tuple[Node, Node], ...]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key.kind != "scalar":
            raise ConfigError("has a key that is not a text, which no stack file has")
        if key.value in seen:
            raise ConfigError(f"has the key {key.value!r} twice in one place; keep one")
        seen.add(key.value)


def effective(node: Node) -> dict[str, Node]:
    """Keys and values of a map, with what `<<` brings in; its own keys come first."""
    found: dict[str, Node] = {}
    seen: set[int] = set()
    todo = [node.resolved]
    while todo:
        each = todo.pop()
        # A node met again has nothing new to say; without this, a small file could ask for endless work.
        if each.start in seen:
            continue
        seen.add(each.start)
        for key, value in each.pairs:
            if key.value == "<<" and key.plain:
                merged = value.resolved
                todo += [source.resolved for source in reversed(merged.items or (merged,))]
            else:
                found.setdefault(key.value, value)
    return found


def aliased(root: Node) -> set[int]:
    """The starts of the nodes that an alias stands for."""
    found: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if node.kind == "alias":
            found.add(node.resolved.start)
            continue
        todo += [*node.items, *(each for pair in node.pairs for each in pair)]
    return found


def plain(node: Node) -> Plain:
    """The document alone, to be compared: dicts, lists, and (text, tag, style) of scalars and aliases."""
    if node.kind == "map":
        return {key.value: plain(value) for key, value in node.pairs}
    if node.kind == "list":
        return [plain(item) for item in node.items]
    style = "*" if node.kind == "alias" else "plain" if node.plain else "quoted"
    return (node.value, node.tag, style)
