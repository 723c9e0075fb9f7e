"""One file's YAML as a tree of values that know their place. Pure; the only module that knows the YAML library.

Values stay text, since what Docker makes of `8080` or `yes` is not what YAML does. Anchors and merge keys (`<<`) are
resolved: what is merged in keeps the place where it is written.
"""

from __future__ import annotations

import msgspec
import yaml

_MERGE = "tag:yaml.org,2002:merge"
_TAG = "tag:yaml.org,2002:"


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something is written. Lines and columns count from 1."""

    file: str
    line: int
    column: int = 1


class Scalar(msgspec.Struct, frozen=True):
    """One value as it is written. `kind`: YAML's word for it (`str`, `int`, `float`, `bool`, `null` and others).

    `plain`: without quotes.
    """

    text: str
    kind: str
    place: Place
    plain: bool = True


class Items(msgspec.Struct, frozen=True):
    """A list."""

    items: tuple[Node, ...]
    place: Place


class Map(msgspec.Struct, frozen=True):
    """A mapping. `entries`: the place of each key, and its value."""

    entries: dict[str, tuple[Place, Node]]
    place: Place

    def get(self, key: str) -> Node | None:
        """The value of a key; None where it is absent or empty (`null`)."""
        found = self.entries.get(key)
        return None if found is None or is_null(found[1]) else found[1]


Node = Scalar | Items | Map


class Repeated(msgspec.Struct, frozen=True):
    """A key that stands twice in one mapping."""

    key: str
    place: Place
    first: int


class Document(msgspec.Struct, frozen=True):
    """A file that could be read."""

    root: Map
    repeated: tuple[Repeated, ...] = ()


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be read, and why. `line` is 0 where no line is to blame."""

    file: str
    line: int = 0
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.reason}. {self.remedy}"


def is_null(node: Node) -> bool:
    """Whether nothing stands there."""
    return isinstance(node, Scalar) and node.kind == "null"


def parse(file: str, data: bytes) -> Document | Unread:
    """The document of a file's bytes. Never raises."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Unread(file=file, line=line, reason="is no UTF-8 text", remedy="Save it as UTF-8")
    try:
        return _document(file, text)
    except _InItself as error:
        return Unread(file=file, line=error.line, reason="an alias contains itself", remedy="Take one of them out")
    except yaml.YAMLError as error:
        return _no_yaml(file, text, error)
    except (ValueError, OverflowError) as error:
        return Unread(file=file, reason=f"is no YAML: {error}", remedy="Correct what is written there")
    except RecursionError:
        return Unread(file=file, reason="is nested too deeply", remedy="Give a Compose file")


def _document(file: str, text: str) -> Document | Unread:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node is not None else 0
        reason = "is no stack file: its top is no mapping" if node is not None else "is empty"
        remedy = "Give a Compose file of version 3, with a key such as `services:`"
        return Unread(file=file, line=line, reason=reason, remedy=remedy)
    tree = _Tree(file)
    return Document(root=tree.map(node), repeated=tuple(tree.repeated))


def _no_yaml(file: str, text: str, error: yaml.YAMLError) -> Unread:
    line, why = 0, " ".join(str(error).split())
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        why = ", ".join(part for part in (error.context, error.problem) if part)
    elif isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        why = f"it has a character that YAML does not allow (U+{ord(text[error.position]):04X})"
    return Unread(file=file, line=line, reason=f"is no YAML: {why}", remedy="Correct that line, or the one before it")


class _InItself(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _Tree:
    """Each of the library's nodes becomes one of ours, once: aliases stay shared, so that they cannot multiply."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.repeated: list[Repeated] = []
        self._done: dict[int, Node] = {}
        self._begun: set[int] = set()

    def node(self, node: yaml.Node) -> Node:
        done = self._done.get(id(node))
        if done is not None:
            return done
        if id(node) in self._begun:
            raise _InItself(node.start_mark.line + 1)
        self._begun.add(id(node))
        if isinstance(node, yaml.MappingNode):
            made: Node = self.map(node)
        elif isinstance(node, yaml.SequenceNode):
            made = Items(tuple(self.node(item) for item in node.value), self._place(node))
        else:
            plain = isinstance(node, yaml.ScalarNode) and node.style is None
            made = Scalar(_clean(node.value), node.tag.removeprefix(_TAG), self._place(node), plain)
        self._done[id(node)] = made
        return made

    def map(self, node: yaml.MappingNode) -> Map:
        own: dict[str, tuple[Place, Node]] = {}
        merged: dict[str, tuple[Place, Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.tag == _MERGE:
                # Of several, the first one counts; the mapping's own keys come before all.
                merged = {**self._merged(value), **merged}
                continue
            name, place = _clean(key.value), self._place(key)
            if name in own:
                self.repeated.append(Repeated(name, place, own[name][0].line))
            own[name] = (place, self.node(value))
        return Map({**merged, **own}, self._place(node))

    def _merged(self, node: yaml.Node) -> dict[str, tuple[Place, Node]]:
        found = self.node(node)
        parts = found.items if isinstance(found, Items) else (found,)
        entries: dict[str, tuple[Place, Node]] = {}
        for part in parts:
            if isinstance(part, Map):
                entries = {**part.entries, **entries}
        return entries

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _clean(text: str) -> str:
    """Without lone surrogates, which an escape can write and no encoding can carry."""
    return text.encode("utf-8", "replace").decode()
