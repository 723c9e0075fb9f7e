"""Variables are filled in as `docker stack deploy` does it."""

from __future__ import annotations

import pytest

from interlock_lint.interpolation import fill

SET = {"HOST": "a.example", "EMPTY": "", "_x1": "y"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("$HOST", "a.example"),
        ("${HOST}", "a.example"),
        ("www.$HOST,${_x1}.$HOST", "www.a.example,y.a.example"),
        ("$$HOST", "$HOST"),
        ("$${HOST}", "${HOST}"),
        ("${HOST:-b}", "a.example"),
        ("${EMPTY:-b}", "b"),
        ("${EMPTY-b}", ""),
        ("${NONE-b}", "b"),
        ("${NONE:-b:c-d?e}", "b:c-d?e"),
        ("${NONE:-}", ""),
        ("${NONE-}", ""),
        ("${HOST:?must be}", "a.example"),
        ("${EMPTY?must be}", ""),
        ("$NONE-b", "b"),
        # Docker looks for the hyphen first, wherever it is in the braces.
        ("${HOST?is-missing}", "missing"),
    ],
)
def test_what_has_a_value(text: str, filled: str) -> None:
    found = fill(text, SET)
    assert (found.text, found.unset, found.required, found.broken) == (filled, (), None, False)


def test_what_has_none_is_nothing_and_is_named_once() -> None:
    found = fill("a${NONE}b$NONE$OTHER", SET)
    assert (found.text, found.unset) == ("ab", ("NONE", "OTHER"))


@pytest.mark.parametrize("text", ["${NONE:?set it}", "${EMPTY:?set it}", "${NONE?set it}"])
def test_what_must_be_set(text: str) -> None:
    assert fill(text, SET).required == (text[2:].partition(":")[0].partition("?")[0], "set it")


@pytest.mark.parametrize("text", ["$", "a$ b", "$1", "${}", "${1}", "${HOST", "${HOST:+x}", "${ HOST }"])
def test_a_dollar_that_begins_no_variable(text: str) -> None:
    assert fill(text, SET).broken


def test_there_are_no_braces_within_braces() -> None:
    assert fill("${NONE:-${HOST}}", SET).text == "${HOST}"
    assert fill("${NONE:-${}", SET).text == "${"


def test_letters_beyond_ascii_begin_no_name() -> None:
    assert fill("${\u017f}", SET).broken
