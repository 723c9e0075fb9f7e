"""A number without quotes as Docker writes it into a label: `010` is 8, `1e7` is 1e+07. Pure.

Docker reads YAML with Go's library and prints what it read; most people never notice, and who does wants to know.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[bB](?P<b>[01]+)|0[xX](?P<x>[0-9a-fA-F]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))"
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES = {"b": 2, "x": 16, "o": 8, "d": 10}
_SIGNS = ("+", "-", ".")
_LONGEST = 400
_LARGE = 6
"""From this power of ten on, as below a ten-thousandth, a number is written with an exponent."""


def as_docker_writes(text: str) -> str:
    """The number in Docker's words; the text itself where it is none."""
    if len(text) > _LONGEST or not text[:1].isascii() or not (text[:1].isdigit() or text.startswith(_SIGNS)):
        return text
    plain = text if text.startswith("._") else text.replace("_", "")
    found = _INTEGER.fullmatch(plain)
    if found:
        digits = next((base, found[name]) for name, base in _BASES.items() if found[name] is not None)
        value = int(digits[1], digits[0]) * (-1 if found["sign"] == "-" else 1)
        if -(2**63) <= value < 2**64:
            return str(value)
    shown = _float(float(plain)) if _FLOAT.fullmatch(plain) else ""
    return shown or text


def _float(value: float) -> str:
    """Empty for one that is too large to be one."""
    if math.isinf(value):
        return ""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1 if value else 0
    if -5 < power < _LARGE:
        return format(Decimal(repr(value)).normalize(), "f")
    mantissa = "".join(map(str, digits))
    shown = f"{mantissa[0]}.{mantissa[1:]}" if len(mantissa) > 1 else mantissa
    return f"{'-' if sign else ''}{shown}e{'-' if power < 0 else '+'}{abs(power):02}"
