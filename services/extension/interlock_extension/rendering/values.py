"""What must hold of a value before any proxy is given it. Pure.

Each function gives the value, or a `Token` of it, or raises `ConfigRejected`. How a proxy quotes, and what its language
cannot hold, is its own `escape`'s business, as are the lengths that it takes.
"""

from __future__ import annotations

import ipaddress
import re

from interlock.errors import ConfigRejected
from interlock_extension.rendering.tokens import Token

_IDENTIFIER = re.compile(r"[a-z0-9_]+")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_TARGET = re.compile(rf"https?://{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?(?:/[A-Za-z0-9._~!+=:@/-]*)?")
_LONGEST_HOST = 253


def utf8_size(value: str) -> int:
    """Bytes that it takes as UTF-8."""
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise ConfigRejected(f"{value!r} is not text that can be written as UTF-8") from error


def without_control(value: str, control: re.Pattern[str]) -> str:
    """A text without these characters, which would end its line or worse."""
    if control.search(value):
        raise ConfigRejected(f"{value!r} holds control characters")
    return value


def host_name(value: str) -> Token:
    """A host name, or `*.` and one."""
    if len(value) > _LONGEST_HOST or not _HOST.fullmatch(value):
        raise ConfigRejected(f"{value!r} is not a host name (lower case, IDNA as xn--…, at most one leading `*.`)")
    return Token(value)


def url_path(value: str) -> str:
    """A path as requests have it, from its first slash; not escaped."""
    if not value.startswith("/"):
        raise ConfigRejected(f"path {value!r} does not begin with a slash")
    return value


def redirect_target(value: str) -> Token:
    """A URL of scheme and authority, and maybe a path, that takes what the client asked for at its end."""
    if not _TARGET.fullmatch(value):
        raise ConfigRejected(f"redirect to {value!r}: write a scheme and a host, such as https://shop.example.com")
    return Token(value)


def identifier(name: str, longest: int) -> Token:
    """A name of lower-case letters, digits and underscores; `longest`: characters."""
    if len(name) > longest or not _IDENTIFIER.fullmatch(name):
        raise ConfigRejected(
            f"{name!r} is not a name of lower-case letters, digits and underscores (at most {longest})"
        )
    return Token(name)


def address(host: str, port: int, proxy: str) -> Token:
    """`ip:port` or `[ip]:port`, of an IP address alone. `proxy`: its name, for people."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigRejected(f"endpoint {host!r} is not an IP address") from error
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None:
        raise ConfigRejected(f"endpoint {host!r} has a scope, which {proxy} cannot write")
    if not 0 < port < 65536:
        raise ConfigRejected(f"endpoint {host}: port {port} is not within 1 to 65535")
    return Token(f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}")


def listen_parts(value: str) -> tuple[str, Token]:
    """Address and port of `8080`, `address:8080` or `[v6]:8080`, as written; no address is empty, none is looked at."""
    host, _, port = value.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigRejected(f"listen address {value!r}: write a port or address:port")
    return host, Token(port)
