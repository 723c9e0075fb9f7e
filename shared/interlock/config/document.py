"""config.toml's core keys: Interlock's own (case-insensitive, as Go's decoder reads them) and ours.

Unknown keys are reported with the nearest known one and otherwise tolerated; a value of the wrong type is refused.
Pure: `interlock.runtime.settings` reads the file and calls `read_document`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import Literal

import msgspec

from interlock.errors import ConfigError

Scalar = str | bool
Kind = Literal["string", "boolean", "table"]

KEYS: dict[str, Kind] = {
    # Interlock's core keys.
    "ListenAddr": "string",
    "DockerURL": "string",
    "TLSCACert": "string",
    "TLSCert": "string",
    "TLSKey": "string",
    "AllowInsecure": "boolean",
    "PollInterval": "string",
    "EndpointOverride": "string",
    "Extensions": "table",
    # Of the developers' version only: accepted, without effect.
    "GRPCAddr": "string",
    "EnableMetrics": "boolean",
    "Plugins": "table",
    # Ours.
    "BusURL": "string",
    "BusFile": "string",
    "Region": "string",
    "LogLevel": "string",
    "LogFormat": "string",
    "MetricsAddr": "string",
    "Name": "string",
    "RunDir": "string",
    "NginxPath": "string",
    "RedisPath": "string",
}
"""The top-level keys that mean something, in the spelling of the documents. A service's own key is added here."""

_BY_LOWER = {key.lower(): key for key in KEYS}
_TYPES: dict[Kind, type] = {"string": str, "boolean": bool, "table": dict}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One value with where it stands. `line` is None where it could not be told."""

    key: str
    value: Scalar
    line: int | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A config.toml as read. `entries`: by lower-case key. `warnings`: whole sentences for people."""

    where: str = ""
    entries: dict[str, Entry] = {}
    extensions: dict[str, object] = {}
    warnings: tuple[str, ...] = ()

    def get(self, key: str) -> Entry | None:
        """The entry of a key in any case, None when the file does not have it."""
        return self.entries.get(key.lower())

    def place(self, entry: Entry) -> str:
        """`file:line: Key`, as errors name it."""
        line = f":{entry.line}" if entry.line else ""
        return f"{self.where}{line}: {entry.key}"


def read_document(text: str, *, where: str) -> Document:
    """A document from TOML text; `where` names the file in messages.

    Raises ConfigError for text that is not TOML, and for a known key with a value of the wrong type.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML: {error}; correct the file") from error
    entries: dict[str, Entry] = {}
    extensions: dict[str, object] = {}
    warnings: list[str] = []
    for key, value in table.items():
        line = _line_of(text, key)
        at = f"{where}:{line}: {key}" if line else f"{where}: {key}"
        known = _BY_LOWER.get(key.lower())
        if known is None:
            warnings.append(f"{at}: unknown key, ignored{_nearest(key)}")
        elif not isinstance(value, _TYPES[KEYS[known]]):
            raise ConfigError(f"{at} = {value!r}: a {KEYS[known]} belongs here{_quoting(known, value)}")
        elif key.lower() in entries:
            raise ConfigError(f"{at}: the key is there twice, differing in case only; keep one")
        elif isinstance(value, dict):
            extensions.update(value if known == "Extensions" else {})
        elif isinstance(value, str | bool):
            entries[key.lower()] = Entry(key=key, value=value, line=line)
    return Document(where=where, entries=entries, extensions=extensions, warnings=tuple(warnings))


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key.lower(), _BY_LOWER, n=1, cutoff=0.6)
    return f"; did you mean {_BY_LOWER[near[0]]}?" if near else ""


def _quoting(known: str, value: object) -> str:
    if KEYS[known] == "string" and not isinstance(value, dict | list):
        unit = "s" if known == "PollInterval" else ""
        return f'; write {known} = "{value}{unit}"'
    return f"; write {known} = true or false, without quotes" if KEYS[known] == "boolean" else ""


def _line_of(text: str, key: str) -> int | None:
    found = re.search(rf"""^[ \t]*\[?["']?{re.escape(key)}["']?[ \t]*(?:=|\]|\.)""", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else None
