"""nginx's language, as far as raw lines of an operator must be understood: where statements end. Pure.

nginx itself checks them; this only says which directives they set, and whether a fragment is one statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)|(?P<end>[;{}])|(?P<word>(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:\$\{|\\.|[^\s;{}]))+)""",
    re.DOTALL,
)

Ends = Literal[";", "{", ""]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A directive outside of blocks. `ends`: with `;`, by opening a block, or (empty) not at all."""

    name: str
    ends: Ends


def statements(fragment: str) -> Iterator[Statement]:
    """The directives of the outermost level, in their order. Never fails: what is no nginx, nginx refuses."""
    depth, name = 0, ""
    for token in _TOKEN.finditer(fragment):
        if token["word"] and not depth:
            name = name or token["word"]
        elif token["end"] == ";" and not depth:
            yield Statement(name=name, ends=";")
            name = ""
        elif token["end"] == "{":
            if not depth:
                yield Statement(name=name, ends="{")
            name = ""
            depth += 1
        elif token["end"] == "}":
            depth = max(0, depth - 1)
    if name:
        yield Statement(name=name, ends="")
