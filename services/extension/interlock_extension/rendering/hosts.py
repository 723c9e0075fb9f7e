"""A virtual host's file, and its name in what is refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2s

from interlock.errors import ConfigRejected
from interlock.model.routing import DEFAULT_HOST

_PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,199}")


def file_stem(host: str) -> str:
    """A host's own file name, without its ending. Any text has one, and no two have the same."""
    if host == DEFAULT_HOST:
        return "_default"
    prefix, name = ("_wild.", host[2:]) if host.startswith("*.") else ("", host)
    if _PLAIN.fullmatch(name):
        return prefix + name
    return f"_x{blake2s(host.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


@contextmanager
def naming(host: str) -> Iterator[None]:
    """What is refused within is refused as this host's: its message begins with it, and it is the culprit."""
    try:
        yield
    except ConfigRejected as error:
        raise ConfigRejected(f"host {host}: {error}", culprit=host) from error
