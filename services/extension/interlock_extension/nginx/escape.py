"""The only way for a value into nginx's configuration: every function gives a `Token`, and templates take nothing else.

nginx has two languages. Its parser splits tokens at blanks and `; { }` outside quotes; within double quotes only `"`
ends and only a backslash escapes. After that, *some* directives read `$name` in their value as a variable, and nothing
escapes a dollar there. So a value is either `quoted` (directives that read no variables) or `interpolated`.
What cannot be written safely is refused with `ConfigRejected`, never repaired by guessing.
"""

from __future__ import annotations

import re

from interlock.errors import ConfigRejected
from interlock_extension.rendering import values
from interlock_extension.rendering.tokens import Token

LONGEST = 1024
"""Bytes. nginx refuses a token of 4096, and reports the whole file when it does."""

DOLLAR = "il_dollar"
"""The variable whose value is a dollar sign; the main template defines it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VARIABLE = re.compile(r"[A-Za-z0-9_]{1,64}")
_DURATION = re.compile(r"[0-9]{1,9}(?:ms|s|m|h)?")
_SIZE = re.compile(r"[0-9]{1,9}[kKmMgG]?")


def _checked(value: str) -> str:
    size = values.utf8_size(value)
    if size > LONGEST:
        raise ConfigRejected(f"{value[:60]!r}… is {size} bytes long; nginx takes at most {LONGEST} here")
    return values.without_control(value, _CONTROL)


def quoted(value: str) -> Token:
    """A literal for directives that read no variables (`location`, `server_name`, `upstream`)."""
    escaped = _checked(value).replace("\\", "\\\\").replace('"', '\\"')
    return Token(f'"{escaped}"')


def interpolated(value: str) -> Token:
    """A literal for directives that read variables (`add_header`, `return`, `map` values)."""
    return Token(quoted(value).replace("$", f"${{{DOLLAR}}}"))


def server_name(host: str) -> Token:
    """A host name or `*.` and one. nginx reads `~…` as a regular expression and `.x` as two names: both refused."""
    return quoted(values.host_name(host))


def path(value: str) -> Token:
    """A location's path; it is matched against the decoded path of a request."""
    return quoted(values.url_path(value))


def identifier(name: str) -> Token:
    """The name of an upstream or a zone."""
    return values.identifier(name, 120)


def address(host: str, port: int) -> Token:
    """An endpoint. Only IP addresses: a name would make nginx ask the DNS, blocking, while it loads."""
    return values.address(host, port, "nginx")


def redirect(target: str) -> Token:
    """What `return 302` takes: scheme, authority and path, and after it what the client asked for."""
    return Token(f'"{values.redirect_target(target)}$request_uri"')


def cookie_variable(name: str) -> Token | None:
    """nginx's own variable of a cookie; None where its name cannot be that of a variable (see `cookie_pattern`)."""
    return Token(f"$cookie_{name}") if _VARIABLE.fullmatch(name) else None


def cookie_pattern(name: str) -> Token:
    """For a map of `$http_cookie`: a regular expression whose first group is the cookie's value."""
    return quoted(f"~(?:^|;[ ]*){re.escape(_checked(name))}=([^;]*)")


def duration(value: str) -> Token:
    """A time such as `75s` or `600ms`."""
    return _matching(_DURATION, value, "a time such as 75s")


def http_version(value: str) -> Token:
    """A version of HTTP that services may be spoken to in."""
    return _matching(re.compile(r"1\.[01]"), value, "1.0 or 1.1")


def size(value: str) -> Token:
    """A size such as `32m`."""
    return _matching(_SIZE, value, "a size such as 32m")


def sizes(value: str) -> Token:
    """Number and size, such as `4 8k`."""
    return Token(" ".join(size(part) for part in value.split()))


def _matching(pattern: re.Pattern[str], value: str, what: str) -> Token:
    if not pattern.fullmatch(value):
        raise ConfigRejected(f"{value!r} is not {what}")
    return Token(value)
