"""What a key of config.toml may hold: each kind reads a TOML value, or says what belongs there. Pure.

Kinds are as strict as Go's decoder where that refuses a file, so that a file which Interlock takes is taken here, and
check beyond it what would only fail later (durations, nginx's sizes, the pieces of a log format).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, urlsplit

import msgspec

from interlock.config.duration import parse_duration
from interlock.config.fragments import statements
from interlock.errors import ConfigError
from interlock.model.names import CLUSTER_NAMES, is_cluster_name

_TIME = re.compile(r"[0-9]{1,9}(?:ms|s|m|h)?")
_SIZE = re.compile(r"[0-9]{1,9}[kKmMgG]?")
_BUFFER = re.compile(r"[0-9]{1,9}[kKmM]?")
_BUFFERS = re.compile(r"\s*([1-9][0-9]{0,3})\s+([0-9]{1,9}[kKmM]?)\s*")
_LAST_PORT = 65535
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


class Unfit(Exception):
    """A value that its kind refuses, without its key and place. `why`; `write`: a TOML value that would do."""

    def __init__(self, why: str, write: str) -> None:
        super().__init__(why)
        self.why, self.write = why, write

    def said(self, key: str) -> str:
        """Why, and the remedy."""
        return f"{self.why}; write {key} = {self.write}"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """`name`: for people. `read`: a TOML value to ours, or raises `Unfit`. `example`: TOML text that it reads."""

    name: str
    read: Callable[[object], object]
    example: str


def without_password(shown: str) -> str:
    """A value for a message, without what stands before the @ of a URL."""
    return re.sub(r"//.*@", "//…@", shown)


def _refuse(kind: str, write: str) -> Unfit:
    return Unfit(f"a {kind} belongs here", write)


def _digits(value: object) -> int | None:
    """The number that a string holds."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()) else None


def text(example: str = '"…"') -> Kind:
    """A string without control characters."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise _refuse("string", f'"{value}"' if isinstance(value, int | float) else example)
        if _CONTROL.search(value):
            raise Unfit("it holds control characters, such as a line break", f"{example} without them")
        return value

    return Kind(name="string", read=read, example=example)


def cluster_name() -> Kind:
    """The name of a service cluster, as a label can have it; empty for the unnamed one."""

    def read(value: object) -> str:
        found = str(text('"us-east"').read(value))
        if not is_cluster_name(found):
            raise Unfit("no label can name such a service cluster", f'a name of {CLUSTER_NAMES}, such as "us-east"')
        return found

    return Kind(name="string", read=read, example='"us-east"')


def url(*schemes: str, example: str) -> Kind:
    """A URL of one of these schemes; empty for none. Its value is not told: it may hold a password."""

    def read(value: object) -> str:
        found = text(example).read(value)
        if found and not any(str(found).lower().startswith(f"{scheme}://") for scheme in schemes):
            raise Unfit(f"a URL of the scheme {' or '.join(schemes)} belongs here", example)
        return str(found)

    return Kind(name="string", read=read, example=example)


def docker_url(example: str) -> Kind:
    """A URL under which Docker's client finds an engine; empty for none."""
    schemes = ("unix", "tcp", "http", "https")

    def read(value: object) -> str:
        found = str(url(*schemes, example=example).read(value))
        why = _no_engine(found) if found else ""
        if why:
            raise Unfit(why, '"unix:///var/run/docker.sock" or "tcp://host:2376"')
        return found

    return Kind(name="string", read=read, example=example)


def _no_engine(value: str) -> str:
    """Why Docker's client would find no engine under this URL; empty where it may."""
    if re.search(r"\s", value):
        return "it holds blanks"
    try:
        parts = urlsplit(value)
    except ValueError:
        return "it is no URL"
    if parts.query or parts.fragment:
        return "what follows ? or # is not for Docker"
    if parts.scheme == "unix":
        return "" if (parts.netloc + parts.path).strip("/") else "the path of the socket is missing"
    if parts.password is not None:
        return "Docker takes no password in it"
    return _no_port(parts)


def _no_port(parts: SplitResult) -> str:
    try:
        return "" if parts.port else "the port is missing"
    except ValueError:
        # Its words hold what is there, which may be of a password.
        return "the port is no number of 1 to 65535"


def address(example: str) -> Kind:
    """`host:port` or `:port`; empty for none."""

    def read(value: object) -> str:
        found = str(text(example).read(value))
        port = found.rpartition(":")[2] if ":" in found else ""
        if found and not (re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= _LAST_PORT):
            raise Unfit("an address of host and port belongs here", example)
        return found

    return Kind(name="string", read=read, example=example)


def flag() -> Kind:
    """`true` or `false`."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise _refuse("boolean", "true or false, without quotes")
        return value

    return Kind(name="boolean", read=read, example="true")


def number(least: int, most: int) -> Kind:
    """A whole number within bounds."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            quoted = _digits(value)
            raise _refuse(
                "number", f"{quoted}, without quotes" if quoted is not None else f"a number of {least} to {most}"
            )
        if not least <= value <= most:
            raise Unfit("the number is out of bounds", f"a number of {least} to {most}")
        return value

    return Kind(name="number", read=read, example=str(least))


def choice(*values: str, why: str = "it is none of those that are known") -> Kind:
    """One of these strings; `why` another one is refused."""
    named = " or ".join(f'"{value}"' for value in values)

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in values:
            raise Unfit(why, named)
        return value

    return Kind(
        name=" or ".join(f"`{value}`" if value else "nothing" for value in values), read=read, example=f'"{values[0]}"'
    )


def duration() -> Kind:
    """Go's `1m30s`; seconds."""

    def read(value: object) -> float:
        if not isinstance(value, str):
            raise _refuse("duration", f'"{value}s"' if isinstance(value, int) else '"3s"')
        try:
            return parse_duration(value)
        except ConfigError as error:
            raise Unfit(str(error).partition(";")[0], '"3s", "500ms" or "1m30s"') from error

    return Kind(name="duration", read=read, example='"3s"')


def words() -> Kind:
    """A list of strings."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise _refuse("list of strings", f'["{value}"]' if isinstance(value, str) else '["…", "…"]')
        if any(_CONTROL.search(word) for word in value):
            raise Unfit("one of them holds control characters, such as a line break", "the list without them")
        return tuple(value)

    return Kind(name="list of strings", read=read, example='["…", "…"]')


def mapping() -> Kind:
    """A table of strings; its keys are the user's and stay as they are."""

    def read(value: object) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(found, str) for found in value.values()):
            raise _refuse("table of strings", '{"key" = "value"}')
        return dict(value)

    return Kind(name="table of strings", read=read, example='{"key" = "value"}')


def table() -> Kind:
    """A table whose content is not ours to judge."""

    def read(value: object) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise _refuse("table", "a section of its own, in brackets")
        return value

    return Kind(name="table", read=read, example="{}")


def nginx_time(*, positive: bool = False, whole_seconds: bool = False) -> Kind:
    """nginx's `75s` or `600ms`; a number is seconds. `whole_seconds`: a number is what Interlock has here."""
    example = "5" if whole_seconds else '"75s"'

    def read(value: object) -> str:
        found = f"{value}s" if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(found, str) or not _TIME.fullmatch(found):
            raise Unfit("it is not a time of nginx's", f'{example}, or with a unit such as "75s", "600ms" or "2m"')
        if positive and not seconds(found):
            raise Unfit("with no time at all, every request would fail", f"{example} or another time")
        return found

    return Kind(name="seconds, or time of nginx's" if whole_seconds else "time of nginx's", read=read, example=example)


def seconds(time: str) -> float:
    """One of nginx's times, such as `75s`, in seconds. Raises `ConfigError`."""
    if not _TIME.fullmatch(time):
        raise ConfigError(f"{time!r} is not a time such as 75s or 600ms")
    number = time.rstrip("hms")
    return int(number) * _SECONDS[time[len(number) :]]


def nginx_size(least: int = 0, *, of_files: bool = False) -> Kind:
    """nginx's `32m`; a number is bytes. `of_files`: it may be in `g`, which nginx does not take of memory."""
    pattern = _SIZE if of_files else _BUFFER

    def read(value: object) -> str:
        found = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(found, str) or not pattern.fullmatch(found):
            raise Unfit("it is not a size of nginx's", 'bytes, or with a unit such as "8k" or "32m"')
        if size(found) < least:
            raise Unfit(f"it is less than {least} bytes", '"8k", or more')
        return found

    return Kind(name="size of nginx's", read=read, example='"32m"')


def size(written: str) -> int:
    """One of nginx's sizes, such as `8k`, in bytes."""
    number = written.rstrip("kKmMgG")
    return int(number) * _BYTES[written[len(number) :].lower()]


def buffers() -> Kind:
    """nginx's number and size of buffers, `4 8k`."""

    def read(value: object) -> str:
        found = _BUFFERS.fullmatch(value) if isinstance(value, str) else None
        if found is None or size(found[2]) < 1024:
            raise Unfit("it is not a number of buffers and their size (1k or more each)", '"4 8k"')
        return f"{found[1]} {found[2]}"

    return Kind(name="number and size", read=read, example='"4 8k"')


def number_or(word: str, most: int) -> Kind:
    """A number from 1, quoted or not, or a word."""

    def read(value: object) -> int | str:
        if value == word:
            return word
        found = value if isinstance(value, int) and not isinstance(value, bool) else _digits(value)
        if found is None or not 1 <= found <= most:
            raise Unfit(f"it is neither a number within 1 to {most} nor {word}", f'2, or "{word}"')
        return found

    return Kind(name=f"number or `{word}`", read=read, example=f'"{word}"')


def raw_lines(example: str = '["gzip on;"]') -> Kind:
    """A list of lines of the proxy's language, which the proxy itself checks."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise _refuse("list of strings", f'["{value}"]' if isinstance(value, str) else example)
        if any("\x00" in line for line in value):
            raise Unfit("one of them holds NUL", "the list without it")
        return tuple(value)

    return Kind(name="list of raw lines", read=read, example=example)


def log_format() -> Kind:
    """The raw fragment after `log_format main`: quoted pieces with their `;`; empty for our own."""
    example = "\"'$remote_addr $status';\""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise _refuse("string", example)
        if value and ("\x00" in value or [bool(piece.name) and piece.ends for piece in statements(value)] != [";"]):
            raise Unfit("it is not one fragment of nginx's, quoted pieces with a semicolon at the end", example)
        return value

    return Kind(name="raw fragment", read=read, example=example)
