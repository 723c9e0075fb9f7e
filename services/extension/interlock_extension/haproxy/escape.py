"""The only way for a value into HAProxy's files and runtime commands: every function gives a `Token`.

HAProxy has four languages here. Its configuration splits words at blanks, and within single quotes nothing is special.
Some of its words are log formats, in which `%` is. A map file is a line each, a key without blanks and the rest of the
line. A runtime command splits at blanks and `;`, and a backslash takes the next character as it is.
What cannot be written safely is refused with `ConfigRejected`, never repaired by guessing.
"""

from __future__ import annotations

import re
from hashlib import blake2s

from interlock.errors import ConfigRejected
from interlock_extension.rendering import values
from interlock_extension.rendering.tokens import Token

LONGEST = 1024
"""Bytes. HAProxy takes 2,048 for a line of its configuration, and at least 16,384 for a runtime command."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SERVER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_TIME = re.compile(r"(\d{1,9})(ms|s|m|h)?")
_PLAIN = re.compile(r"[A-Za-z0-9_-]")


def _checked(value: str) -> str:
    size = values.utf8_size(value)
    if size > LONGEST:
        raise ConfigRejected(f"{value[:60]!r}… is {size} bytes long; at most {LONGEST} are taken here")
    return values.without_control(value, _CONTROL)


def quoted(value: str) -> Token:
    """One word of the configuration."""
    escaped = _checked(value).replace("'", r"'\''")
    return Token(f"'{escaped}'")


def formatted(value: str) -> Token:
    """One word that HAProxy reads as a log format, such as the value of `set-header`."""
    return Token(quoted(value).replace("%", "%%"))


def host(name: str) -> Token:
    """A host name, or `*.` and one."""
    return values.host_name(name)


def key(value: str) -> Token:
    """A key of a map, in its file. `word` takes it into a command."""
    if not value or value.startswith("#") or re.search(r"\s", _checked(value)):
        raise ConfigRejected(f"{value!r} cannot be a key of HAProxy's maps: it is empty, a comment or holds blanks")
    return Token(value)


def text(value: str) -> Token:
    """A value of a map, in its file. `word` takes it into a command."""
    if not value or value.strip() != _checked(value):
        raise ConfigRejected(f"{value!r} cannot be a value of HAProxy's maps: it is empty or has blanks around it")
    return Token(value)


def path(value: str) -> Token:
    """The path of a route, as a part of a map's key; it is compared with the decoded path of a request."""
    return key(values.url_path(value))


def word(value: str) -> Token:
    """One word of a runtime command."""
    # `<<` at its end would make a command wait for more lines; nothing that we write needs it.
    if not value or "<" in _checked(value):
        raise ConfigRejected(f"{value!r} cannot be a word of a runtime command: it is empty or holds `<`")
    return Token(re.sub(r"([\\ ;])", r"\\\1", value))


def identifier(name: str) -> Token:
    """The name of a backend."""
    return values.identifier(name, 128)


def server(kind: str, owner: str, at: str, how: str = "") -> Token:
    """A server's name: `t_<task>_…` or `vip_<service>_…`. Address and port are part of it, and `how` it is checked."""
    digest = blake2s(f"{owner}\n{at}{how}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return Token(f"{kind}_{owner}_{digest}" if _SERVER.fullmatch(owner) else f"{kind}__{digest}")


def address(where: str, port: int) -> Token:
    """An endpoint. Only IP addresses: a name would make HAProxy ask the DNS, blocking, while it loads."""
    return values.address(where, port, "HAProxy")


def listen(port: str) -> Token:
    """`8080`, `address:8080` or `[v6]:8080` as an address of `bind`."""
    where, number = values.listen_parts(port)
    return address(where.strip("[]"), int(number)) if where else Token(f":{int(number)}")


def redirect(target: str) -> Token:
    """Scheme and authority, and maybe a path, before what the client asked for. A value of a map."""
    return text(values.redirect_target(target))


def cookie_id(name: str) -> Token:
    """What stands for a cookie in a route's entry."""
    return Token(f"c{blake2s(_cookie(name).encode(), digest_size=6).hexdigest()}")


def cookie_pattern(name: str) -> Token:
    """A key of the map of cookies: a regular expression for a cookie's id, `;` and the header. Its value is `\\2`.

    POSIX classes and brackets only, since not every HAProxy is built with PCRE, and a key holds no blanks.
    """
    literal = "".join(c if _PLAIN.fullmatch(c) else rf"\{c}" if c == "^" else f"[{c}]" for c in _cookie(name))
    return key(f"^{cookie_id(name)};(.*;[[:space:]]*)?{literal}=([^;]*)")


def _cookie(name: str) -> str:
    if not _COOKIE.fullmatch(name):
        raise ConfigRejected(f"{name!r} is not the name of a cookie")
    return name


def duration(value: str) -> Token:
    """`75s` or `600ms`, for HAProxy, which would take a bare number for milliseconds."""
    found = _TIME.fullmatch(value)
    if not found:
        raise ConfigRejected(f"{value!r} is not a time such as 75s")
    return Token(f"{int(found[1])}{found[2] or 's'}")
