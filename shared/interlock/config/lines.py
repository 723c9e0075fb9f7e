"""Where a key stands in TOML text: `tomllib` gives values without their lines. Pure.

For text that `tomllib` has accepted; of what is no TOML nothing sensible is said.
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str, ...]

_TOKEN = re.compile(
    r'(?P<space>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)|(?P<multi>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5})'
    r'|(?P<word>"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[^\s=,.\[\]{}"\'#]+)|(?P<mark>[=,.\[\]{}])',
    re.DOTALL,
)


def line_numbers(text: str) -> dict[Path, int]:
    """The first line, from 1, of each key and table by its path. Elements of arrays are no part of a path."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[Path, int] = {}
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
        for length in range(1, len(path) + 1):
            self._found.setdefault(path[:length], self._key_line)


def _unquoted(word: str) -> str:
    if word[0] == '"':
        return str(tomllib.loads(f"a = {word}")["a"])
    return word[1:-1] if word[0] == "'" else word
