"""YAML as a tree with places: anchors, merge keys, keys that stand twice, and files that are no YAML."""

from __future__ import annotations

import pytest

from interlock_lint.document import Document, Items, Map, Place, Scalar, Unread, parse


def tree(text: str) -> Map:
    found = parse("f.yml", text.encode())
    assert isinstance(found, Document)
    return found.root


def unread(data: str | bytes) -> Unread:
    found = parse("f.yml", data if isinstance(data, bytes) else data.encode())
    assert isinstance(found, Unread)
    assert found.remedy
    return found


def test_values_are_text_with_their_kind_and_place() -> None:
    found = tree("a: 8080\nb:\n  - yes\n  - 'yes'\nc: ~\n")
    assert found.get("a") == Scalar("8080", "int", Place("f.yml", 1, 4))
    items = found.get("b")
    assert isinstance(items, Items)
    assert [(item.text, item.kind) for item in items.items if isinstance(item, Scalar)] == [
        ("yes", "bool"),
        ("yes", "str"),
    ]
    assert "c" in found.entries
    assert found.get("c") is None


def test_what_is_merged_keeps_its_place_and_gives_way_to_what_is_written() -> None:
    found = tree("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  c: 3\nw:\n  c: 3\n  <<: *x\n")
    z = found.get("z")
    assert isinstance(z, Map)
    assert {key: (place.line, value.text) for key, (place, value) in z.entries.items()} == {  # type: ignore[union-attr]
        "a": (1, "1"),
        "b": (1, "1"),
        "c": (5, "3"),
    }


def test_of_two_merge_keys_the_first_counts() -> None:
    found = tree("x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz:\n  <<: *x\n  <<: *y\n").get("z")
    assert isinstance(found, Map)
    assert {key: value.text for key, (_, value) in found.entries.items()} == {"a": "1", "b": "2"}  # type: ignore[union-attr]


def test_keys_that_stand_twice() -> None:
    found = parse("f.yml", b"a: 1\nb: {c: 1,\n c: 2}\na: 2\n")
    assert isinstance(found, Document)
    assert [(each.key, each.place.line, each.first) for each in found.repeated] == [("c", 3, 2), ("a", 4, 1)]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 0, "is empty"),
        ("# nothing\n", 0, "is empty"),
        ("- a\n- b\n", 1, "its top is no mapping"),
        ("just words", 1, "its top is no mapping"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "is no YAML"),
        ("a: 1\n\tb: 2\n", 2, "is no YAML"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("a: 1\nb: \x00\n", 2, "U+0000"),
        ('a: "\\UFFFFFFFF"', 0, "is no YAML"),
        ("a: &a [*a]", 1, "an alias contains itself"),
        ("a: &a\n  <<: *a\n", 1, "an alias contains itself"),
        ("[" * 20_000, 0, "is nested too deeply"),
    ],
)
def test_what_is_no_stack_file_is_told_with_its_line(text: str, line: int, why: str) -> None:
    found = unread(text)
    assert found.line == line
    assert why in str(found)
    assert str(found).startswith(f"f.yml:{line}: " if line else "f.yml: ")


def test_text_that_is_not_utf8() -> None:
    found = unread(b"a: 1\nb: \xff\n")
    assert (found.line, found.reason) == (2, "is no UTF-8 text")


def test_a_byte_order_mark_is_no_text() -> None:
    assert tree("\ufeffservices: {}").entries.keys() == {"services"}


def test_aliases_do_not_multiply() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert len(tree("\n".join(lines)).entries) == 30


def test_lone_surrogates_are_replaced() -> None:
    value = tree('a: "\\uD800"').get("a")
    assert isinstance(value, Scalar)
    assert value.text == "?"
