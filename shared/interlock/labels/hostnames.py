"""One host name: text as people write it to the name that a proxy compares with. Called by the family `hosts` only."""

from __future__ import annotations

import re

from interlock.labels.label import Parsed, refused

_PART = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PORT = re.compile(r"(?P<host>[^:]+):[0-9]*")
# IDNA 2003 (Python's) and 2008 (browsers') turn names with these into different ones, so we must not choose.
_AMBIGUOUS = re.compile("[\u00df\u03c2\u200c\u200d]")

_LONGEST = 253
_LIMIT = f", more than the {_LONGEST} of a host name"
_EXAMPLE = "Write a name such as shop.example.com or *.example.com"


def parse_host(text: str) -> Parsed[str]:
    """Lower case, punycode, no final dot; `*.` in front is kept. Refused with a remedy: anything that is no host."""
    shape = _much_too_long(text) or _wrong_shape(text)
    if shape is not None:
        return shape
    wildcard = "*." if text.startswith("*.") else ""
    name = text.removeprefix(wildcard).lower().removesuffix(".")
    if not name.isascii():
        if _AMBIGUOUS.search(name):
            return refused(
                "host-invalid",
                text,
                "has a letter that browsers of different age encode differently",
                "Write its punycode",
            )
        try:
            name = name.encode("idna").decode("ascii").lower()
        except UnicodeError as error:
            return refused("host-invalid", text, f"is no host name ({error})", f"{_EXAMPLE}, or its punycode")
    if len(wildcard + name) > _LONGEST:
        return refused("host-invalid", text, f"has {len(wildcard + name)} characters{_LIMIT}", "Shorten it")
    for part in name.split("."):
        if not _PART.fullmatch(part):
            return refused("host-invalid", text, f"is no host name: {_blame(part)}", _EXAMPLE)
    return Parsed(value=wildcard + name)


def _much_too_long(text: str) -> Parsed[str] | None:
    """Told before anything is made of it: encoding takes the square of its length."""
    if len(text) <= _LONGEST + len("*.."):
        return None
    return refused("host-invalid", text, f"has {len(text)} characters{_LIMIT}", "Shorten it")


def _wrong_shape(text: str) -> Parsed[str] | None:
    """The mistakes that people make, each with its own remedy."""
    scheme = _SCHEME.match(text)
    if scheme:
        bare = re.split(r"[/:?#]", text[scheme.end() :])[0]
        return refused(
            "host-invalid", text, "has a scheme", f"Write only the host name, {bare!r}; a path belongs in context_root"
        )
    if "/" in text:
        host, path = re.split(r"[/:]", text, maxsplit=1)[0], text.partition("/")[2]
        remedy = f"Write only the host name, {host!r}, and the path in com.docker.lb.context_root=/{path}"
        return refused("host-invalid", text, "has a path", remedy)
    port = _PORT.fullmatch(text)
    if port:
        remedy = f"Write only the host name, {port['host']!r}; the port of the container belongs in com.docker.lb.port"
        return refused("host-invalid", text, "has a port", remedy)
    if len(text.split()) > 1 or ";" in text:
        return refused("host-invalid", text, "holds more than one name", "Separate hosts with commas")
    if text in ("*", "_"):
        return refused(
            "host-invalid",
            text,
            "does not name a host",
            "To answer every unknown host use com.docker.lb.default_backend=true",
        )
    return None


def _blame(part: str) -> str:
    if not part:
        return "it has an empty part between dots"
    if len(part) > 63:
        return f"the part {part[:20]!r}… has {len(part)} characters, more than 63"
    if part.startswith("-") or part.endswith("-"):
        return f"the part {part!r} begins or ends with a hyphen"
    return f"the part {part!r} has characters other than letters, digits, hyphen and underscore"
