"""The only way for a value into nginx's configuration: every function gives a `Token`, and templates take nothing else.

nginx has two languages. Its parser splits tokens at blanks and `; { }` outside quotes; within double quotes only `"`
ends and only a backslash escapes. After that, *some* directives read `$name` in their value as a variable, and nothing
escapes a dollar there. So a value is either `quoted` (directives that read no variables) or `interpolated`.
What cannot be written safely is refused with `ConfigRejected`, never repaired by guessing.
"""

from __future__ import annotations

import ipaddress
import re

from interlock.errors import ConfigRejected

LONGEST = 1024
"""Bytes. nginx refuses a token of 4096, and reports the whole file when it does."""

DOLLAR = "il_dollar"
"""The variable whose value is a dollar sign; the main template defines it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_IDENTIFIER = re.compile(r"[a-z0-9_]{1,120}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_TARGET = re.compile(rf"https?://{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?(?:/[A-Za-z0-9._~!+=:@/-]*)?")
_VARIABLE = re.compile(r"[A-Za-z0-9_]{1,64}")
_DURATION = re.compile(r"[0-9]{1,9}(?:ms|s|m|h)?")
_SIZE = re.compile(r"[0-9]{1,9}[kKmMgG]?")
_LONGEST_HOST = 253


class Token(str):
    """Text that is safe to stand in the configuration as it is."""

    __slots__ = ()


def _checked(value: str) -> str:
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise ConfigRejected(f"{value!r} is not text that can be written as UTF-8") from error
    if size > LONGEST:
        raise ConfigRejected(f"{value[:60]!r}… is {size} bytes long; nginx takes at most {LONGEST} here")
    if _CONTROL.search(value):
        raise ConfigRejected(f"{value!r} holds control characters")
    return value


def quoted(value: str) -> Token:
    """A literal for directives that read no variables (`location`, `server_name`, `upstream`)."""
    escaped = _checked(value).replace("\\", "\\\\").replace('"', '\\"')
    return Token(f'"{escaped}"')


def interpolated(value: str) -> Token:
    """A literal for directives that read variables (`add_header`, `return`, `map` values)."""
    return Token(quoted(value).replace("$", f"${{{DOLLAR}}}"))


def server_name(host: str) -> Token:
    """A host name or `*.` and one. nginx reads `~…` as a regular expression and `.x` as two names: both refused."""
    if len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
        raise ConfigRejected(f"{host!r} is not a host name (lower case, IDNA as xn--…, at most one leading `*.`)")
    return quoted(host)


def path(value: str) -> Token:
    """A location's path; it is matched against the decoded path of a request."""
    if not value.startswith("/"):
        raise ConfigRejected(f"path {value!r} does not begin with a slash")
    return quoted(value)


def identifier(name: str) -> Token:
    """The name of an upstream or a zone."""
    if not _IDENTIFIER.fullmatch(name):
        raise ConfigRejected(f"{name!r} is not a name of lower-case letters, digits and underscores (at most 120)")
    return Token(name)


def address(host: str, port: int) -> Token:
    """An endpoint. Only IP addresses: a name would make nginx ask the DNS, blocking, while it loads."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigRejected(f"endpoint {host!r} is not an IP address") from error
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None:
        raise ConfigRejected(f"endpoint {host!r} has a scope, which nginx cannot write")
    if not 0 < port < 65536:
        raise ConfigRejected(f"endpoint {host}: port {port} is not within 1 to 65535")
    return Token(f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}")


def redirect(target: str) -> Token:
    """What `return 302` takes: scheme, authority and path, and after it what the client asked for."""
    if not _TARGET.fullmatch(target):
        raise ConfigRejected(f"redirect to {target!r}: write a scheme and a host, such as https://shop.example.com")
    return Token(f'"{target}$request_uri"')


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
