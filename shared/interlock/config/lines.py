"""Where a key stands in TOML text: `tomllib` gives values without their lines. Pure.

For text that `tomllib` has accepted, or what it has accepted of it; of what is no TOML nothing sensible is said.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

Path = tuple[str, ...]

_TOKEN = re.compile(
    r'(?P<space>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)|(?P<multi>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5})'
    r'|(?P<word>"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[^\s=,.\[\]{}"\'#]+)|(?P<mark>[=,.\[\]{}])',
    re.DOTALL,
)


def line_numbers(text: str) -> dict[Path, int]:
    """The first line, from 1, of each key and table by its path. Elements of arrays are no part of a path."""
    return _Reader(text).read()


class Note(NamedTuple):
    """A key or (`header`) the head of a table, each time that it is written. `line`: from 1."""

    path: Path
    line: int
    header: bool


def noted(text: str) -> list[Note]:
    """Every key and head of a table in its order, as often as it is there; a head that the text ends in counts."""
    reader = _Reader(text)
    reader.read()
    return reader.notes


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[Path, int] = {}
        self.notes: list[Note] = []
        self._line = 1
        self._table: Path = ()
        # Open brackets of values: whether a table's, and the path of what it holds.
        self._open: list[tuple[bool, Path]] = []
        self._keys: list[str] = []
        self._key_line = 1
        self._current: Path = ()
        self._header = False

    def read(self) -> dict[Path, int]:
        expects_key = True
        for token in _TOKEN.finditer(self._text):
            line, self._line = self._line, self._line + token[0].count("\n")
            if token["newline"]:
                if self._header or not self._open:
                    self._header, expects_key, self._keys = False, True, []
            elif token["space"]:
                continue
            elif expects_key:
                expects_key = self._key(token, line)
            else:
                expects_key = self._value(token)
        if self._header and self._keys:
            self._note(tuple(self._keys))
        return self._found

    def _key(self, token: re.Match[str], line: int) -> bool:
        """Whether a key is still expected after this token."""
        if token["word"]:
            if not self._keys:
                self._key_line = line
            self._keys.append(_unquoted(token["word"]))
        elif token["mark"] == "[" and not self._keys:
            self._header = True
        elif token["mark"] == "]" and self._header and self._keys:
            self._table = tuple(self._keys)
            self._note(self._table)
            self._keys = []
        elif token["mark"] == "=":
            base = self._open[-1][1] if self._open else self._table
            self._current = (*base, *self._keys)
            self._note(self._current)
            self._keys = []
            return False
        elif token["mark"] == "}":
            self._open.pop()
            return False
        return True

    def _value(self, token: re.Match[str]) -> bool:
        if token["mark"] == "[":
            self._open.append((False, self._within()))
        elif token["mark"] == "{":
            self._open.append((True, self._within()))
            return True
        elif token["mark"] in {"]", "}"}:
            self._open.pop()
        elif token["mark"] == ",":
            return bool(self._open) and self._open[-1][0]
        return False

    def _within(self) -> Path:
        in_array = bool(self._open) and not self._open[-1][0]
        return self._open[-1][1] if in_array else self._current

    def _note(self, path: Path) -> None:
        self.notes.append(Note(path, self._key_line, self._header))
        for length in range(1, len(path) + 1):
            self._found.setdefault(path[:length], self._key_line)


def _unquoted(word: str) -> str:
    if word[0] == '"':
        return str(tomllib.loads(f"a = {word}")["a"])
    return word[1:-1] if word[0] == "'" else word
