"""Variables in a stack file's values, as `docker stack deploy` fills them in. Pure: the environment is an argument.

`$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`, and `$$` for a dollar.
Docker takes the first of `:-`, `-`, `:?`, `?` that is anywhere in the braces for the operator, and so do we; it knows
no braces within braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<open>{{)?(?P<inside>{_NAME}(?::?[-?][^}}]*)?)(?(open)}})|)")
_OPERATORS = (":-", "-", ":?", "?")


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A text with its variables filled in.

    `unset`: names that have neither a value nor a default, for which Docker puts nothing. `required`: name and message
    of a variable that must be set and is not. `broken`: a dollar begins no variable. With either, Docker refuses
    the file.
    """

    text: str
    unset: tuple[str, ...] = ()
    required: tuple[str, str] | None = None
    broken: bool = False


def fill(text: str, environment: Mapping[str, str]) -> Filled:
    """Fill in the variables. Never raises."""
    unset: list[str] = []
    required: list[tuple[str, str]] = []
    broken: list[str] = []

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if not found["inside"]:
            broken.append(found[0])
            return ""
        operator = next((each for each in _OPERATORS if each in found["inside"]), "")
        name, _, word = found["inside"].partition(operator) if operator else (found["inside"], "", "")
        given = environment.get(name)
        if given is not None and (given or not operator.startswith(":")):
            return given
        if operator.endswith("-"):
            return word
        if operator:
            required.append((name, word))
        elif given is None:
            unset.append(name)
        return ""

    return Filled(
        text=_VARIABLE.sub(value, text),
        unset=tuple(dict.fromkeys(unset)),
        required=required[0] if required else None,
        broken=bool(broken),
    )
