"""One host name: text as people write it to the name that a proxy compares with. Called by the family `hosts` only."""

from __future__ import annotations

import re
import unicodedata

from interlock.labels.label import Parsed, refused
from interlock.labels.urlpaths import LONGEST_PROPOSED, proposed_path

_PART = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_SCHEME = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://")
# Blanks or semicolons between names, and not in a path.
_SEVERAL = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*[\s;]|[\s;][A-Za-z][A-Za-z0-9+.-]*://")
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
            reason = "has a letter that browsers of different age encode differently"
            return refused("host-invalid", text, reason, _punycode(wildcard, name))
        try:
            name = _older(name)
        except UnicodeError as error:
            return refused("host-invalid", text, f"is no host name ({error})", _EXAMPLE)
    if len(wildcard + name) > _LONGEST:
        return refused("host-invalid", text, f"has {len(wildcard + name)} characters{_LIMIT}", "Shorten it")
    for part in name.split("."):
        if not _PART.fullmatch(part):
            return refused("host-invalid", text, f"is no host name: {_blame(part)}", _EXAMPLE)
    return _no_name(text) if name == "_" else Parsed(value=wildcard + name)


def _much_too_long(text: str) -> Parsed[str] | None:
    """Told before anything is made of it: encoding takes the square of its length."""
    if len(text) <= _LONGEST + len("*.."):
        return None
    return refused("host-invalid", text, f"has {len(text)} characters{_LIMIT}", "Shorten it")


def _wrong_shape(text: str) -> Parsed[str] | None:
    """The mistakes that people make, each with its own remedy."""
    if _SEVERAL.search(text):
        return refused("host-invalid", text, "holds more than one name", _separated(text))
    scheme = _SCHEME.match(text)
    if scheme or "/" in text:
        reason = "has a scheme" if scheme else "has a path"
        return refused("host-invalid", text, reason, _alone(text[scheme.end() if scheme else 0 :]))
    port = _PORT.fullmatch(text)
    if port:
        remedy = f"{_only(port['host'])}; the port of the container belongs in com.docker.lb.port"
        return refused("host-invalid", text, "has a port", remedy)
    if text == "*":
        return _no_name(text)
    return None


def _separated(text: str) -> str:
    """The remedy for several names in one; it names them where each is a host alone, maybe behind a scheme."""
    entries = [_SCHEME.sub("", entry).removesuffix("/") for entry in re.split(r"[\s;]+", text) if entry]
    hosts = [_proposed(entry) for entry in entries]
    proposal = ",".join(dict.fromkeys(filter(None, hosts)))
    if not all(hosts) or not 0 < len(proposal) <= LONGEST_PROPOSED:
        return "Separate hosts with commas, each as shop.example.com or *.example.com"
    return f"Separate hosts with commas: {proposal}"


def _alone(text: str) -> str:
    """The remedy for a host with what else stands in a URL behind its scheme: a port, a path, a query."""
    authority, _, path = re.split("[?#]", text)[0].partition("/")
    host = authority.partition(":")[0]
    if path.strip("/") == "":
        return _only(host)
    root = proposed_path(path)
    where = (
        f", and the path in com.docker.lb.context_root={root}"
        if root
        else "; a path belongs in com.docker.lb.context_root"
    )
    return f"{_only(host)}{where}"


def _only(host: str) -> str:
    """The remedy for a host with something beside it: the host, or how to write one."""
    proposal = _proposed(host)
    if proposal:
        return f"Write only the host name, {proposal!r}"
    flaws = parse_host(host).flaws
    # One without a flaw is too long to stand in a remedy.
    return flaws[0].remedy if flaws else "Write only the host name"


def _proposed(host: str) -> str:
    """A host for a remedy, as it was written where that can be read; empty where it would be the next mistake."""
    name = parse_host(host).value
    if name is None:
        return ""
    shown = host if host.isprintable() else name
    return shown if len(shown) <= LONGEST_PROPOSED else ""


def _punycode(wildcard: str, name: str) -> str:
    """The remedy for a name that is encoded in two ways: both, where they are names."""
    try:
        older = _older(name)
        newer = ".".join(map(_encoded, name.split(".")))
    except UnicodeError:
        return _EXAMPLE
    if not (_proposed(wildcard + newer) and _proposed(wildcard + older)):
        return _EXAMPLE
    both = f"{wildcard}{newer}, which is what browsers of today ask for, or {wildcard}{older} as older ones do"
    return f"Write {both}" if len(both) <= 2 * LONGEST_PROPOSED else _EXAMPLE


def _older(name: str) -> str:
    """A name in punycode as IDNA 2003 has it. UnicodeError: it has none."""
    return name.encode("idna").decode().lower()


def _encoded(part: str) -> str:
    """One part as IDNA 2008 has it, in which the ambiguous letters stay what they are."""
    if not _AMBIGUOUS.search(part):
        return _older(part)
    return f"xn--{unicodedata.normalize('NFKC', part).encode('punycode').decode()}"


def _no_name(text: str) -> Parsed[str]:
    remedy = "To answer every unknown host use com.docker.lb.default_backend=true"
    return refused("host-invalid", text, "does not name a host", remedy)


def _blame(part: str) -> str:
    if not part:
        return "it has an empty part between dots"
    if len(part) > 63:
        return f"the part {part[:20]!r}… has {len(part)} characters, more than 63"
    if part.startswith("-") or part.endswith("-"):
        return f"the part {part!r} begins or ends with a hyphen"
    return f"the part {part!r} has characters other than letters, digits, hyphen and underscore"
