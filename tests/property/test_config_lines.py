"""The lines of TOML keys: for any document, each key is found where it was written, whatever stands around it."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.config.lines import Path, line_numbers

NAMES = st.sampled_from(["a", "b-1", "Image", '"a.b"', "'x y'", '"q\\"#"', "Config", '"="', "'['"])
SCALARS = st.sampled_from(
    ["1", "-1.5", "true", '"x # no comment"', "'a = b'", '"""one\n\n= two "quoted" """', "'''\n[x]\ny = 1'''", '"\\""',
     "1979-05-27T07:32:00Z", '""', "[]", '[\n  "a", # b = 1\n  [2, "]"],\n]', "0x1F", '""""a" """']
)  # fmt: skip


def tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(NAMES, values), max_size=3, unique_by=lambda pair: _plain(pair[0]))
    return pairs.map(lambda found: "{" + ", ".join(f"{name} = {value}" for name, value in found) + "}")


INLINE = tables(SCALARS.filter(lambda text: "\n" not in text))
VALUES = st.one_of(SCALARS, INLINE, tables(INLINE), st.tuples(INLINE, INLINE).map(lambda two: f"[{two[0]}, {two[1]}]"))


def _plain(name: str) -> str:
    return str(next(iter(tomllib.loads(f"{name} = 1"))))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    """TOML text, and the line of each key of its tables as it was written."""
    text, expected = "", {}
    sections = draw(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=4, unique_by=lambda s: str(s)))
    for number, section in enumerate([[], *sections]):
        path: Path = ()
        if section:
            name = [f"t{number}", *section]
            text += draw(st.sampled_from(["", "\n", "# [c] = 1\n"])) + f"[ {' . '.join(name)} ] # x\n"
            path = tuple(map(_plain, name))
            expected[path] = text.count("\n")
        keys = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4, unique_by=lambda pair: _plain(pair[0])))
        for name, value in keys:
            text += draw(st.sampled_from(["", "\n\n", "  # y = 2\n"]))
            key = (*path, _plain(name))
            expected[key] = text.count("\n") + 1
            text += f"  {name}  =  {value}\n"
    return text, expected


@given(documents())
def test_each_key_is_found_in_its_line(made: tuple[str, dict[Path, int]]) -> None:
    text, expected = made
    found = line_numbers(text)
    assert {path: found.get(path) for path in expected} == expected
    assert set(found) == set(_paths(tomllib.loads(text)))


def _paths(value: Any, path: Path = ()) -> list[Path]:
    if isinstance(value, dict):
        below = [inner for name, one in value.items() for inner in _paths(one, (*path, name))]
        return [*([path] if path else []), *below]
    if isinstance(value, list):
        inner = [found for one in value if isinstance(one, dict) for found in _paths(one, path) if found != path]
        return [path, *inner]
    return [path]


def test_dotted_keys_and_arrays_of_tables() -> None:
    text = 'a.b = 1\na.c = {d.e = 2}\n[[x]]\nname = "n"\n[[x]]\n[x.y]\nz = 1'
    found = line_numbers(text)
    lines = {("a",): 1, ("a", "b"): 1, ("a", "c"): 2, ("a", "c", "d", "e"): 2, ("x",): 3, ("x", "name"): 4}
    assert {path: found[path] for path in lines} == lines
    assert (found["x", "y"], found["x", "y", "z"]) == (6, 7)
