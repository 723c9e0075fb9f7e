"""nginx's language, as far as raw lines of an operator must be understood: where statements end. Pure.

nginx itself checks them; this only says which directives they set, and whether a fragment is one statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)|(?P<end>[;{}])|(?P<word>(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:\$\{\w*\}?|\\.|[^\s;{}]))+)""",
    re.DOTALL,
)

Ends = Literal[";", "{", ""]

_QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["'\\])""")


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A directive outside of blocks. `ends`: with `;`, by opening a block, or (empty) not at all."""

    name: str
    ends: Ends


class Directive(msgspec.Struct, frozen=True, kw_only=True):
    """A directive of any level, with its words without quotes; `depth`: how many blocks it stands in.

    `begin`, `end`: the offsets of its first word and after its last mark. `ends` is empty where a `}` or the fragment's
    end cuts it off.
    """

    words: tuple[str, ...]
    depth: int
    begin: int
    end: int
    ends: Ends


def directives(fragment: str) -> Iterator[Directive]:
    """The directives of all levels, in their order. Never fails: what is no nginx, nginx refuses."""
    depth, begin, words = 0, 0, list[str]()
    for token in _TOKEN.finditer(fragment):
        if token["word"]:
            begin = begin if words else token.start()
            words.append(_unquoted(token["word"]))
        mark = token["end"]
        if mark and (words or mark != "}"):
            begin = begin if words else token.start()
            ends: Ends = ";" if mark == ";" else "{" if mark == "{" else ""
            yield Directive(words=tuple(words), depth=depth, begin=begin, end=token.end(), ends=ends)
        if mark:
            words = []
            depth = max(0, depth + {"{": 1, "}": -1}.get(mark, 0))
    if words:
        yield Directive(words=tuple(words), depth=depth, begin=begin, end=len(fragment), ends="")


def _unquoted(word: str) -> str:
    quoted = _QUOTED.fullmatch(word)
    return _ESCAPED.sub(r"\1", quoted[2] if quoted else word)


def statements(fragment: str) -> Iterator[Statement]:
    """The directives of the outermost level, in their order; as `directives`."""
    for directive in directives(fragment):
        if not directive.depth:
            yield Statement(name="".join(directive.words[:1]), ends=directive.ends)
