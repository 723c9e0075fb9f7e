"""config.toml as values: every key checked against the registry, with its line (case-insensitive, as Go reads keys).

Unknown keys are reported with the nearest known one and otherwise tolerated; a known key's bad value is refused, also
where the key takes effect later only. Pure: `interlock.runtime.settings` reads the file and calls `read_document`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from interlock.config.key import Effect, Key, Section
from interlock.config.kinds import Unfit
from interlock.config.lines import Path, line_numbers
from interlock.config.nginx import NGINX
from interlock.config.sections import CORE, EXTENSION, FIRST_VERSION, HAPROXY_ONLY, PROXY
from interlock.errors import ConfigError

SECTIONS = (CORE, EXTENSION, PROXY, NGINX)
_TABLE = Section(title=EXTENSION.title, about="", keys=(*EXTENSION.keys, *PROXY.keys))


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One key as it stands in the file. `path`: with its tables. `line`: None where it could not be told.

    `value`: TOML's. `effect`: None for a key that is not known.
    """

    key: str
    value: object
    line: int | None = None
    path: str = ""
    effect: Effect | None = None
    doc: str = ""


Entries = dict[str, Entry]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say about the file. `message`: a whole sentence that begins with the key's path, if any."""

    severity: Literal["error", "warning"]
    line: int | None
    path: str
    message: str


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """One `[Extensions.<name>]`. `entries` and `config` (its `Config`): by lower-case key."""

    name: str
    line: int | None = None
    entries: Entries = {}
    config: Entries = {}

    @property
    def service_cluster(self) -> str:
        """The service cluster that it is for."""
        entry = self.entries.get("servicecluster")
        return str(entry.value) if entry else ""

    def get(self, key: str) -> Entry | None:
        """The entry of a key in any case, None when the table does not have it."""
        return self.entries.get(key.lower())


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A config.toml as read. `entries`: the keys at its top, by lower-case key; `extensions`: its tables."""

    where: str = ""
    entries: Entries = {}
    extensions: tuple[Extension, ...] = ()
    findings: tuple[Finding, ...] = ()

    def get(self, key: str) -> Entry | None:
        """The entry of a key at the top in any case, None when the file does not have it."""
        return self.entries.get(key.lower())

    def extension(self, cluster: str) -> Extension | None:
        """The table that counts for a service cluster; None where the file has none."""
        return next((found for found in self.extensions if found.service_cluster == cluster), None)

    def place(self, entry: Entry) -> str:
        """`file:line: Key`, as errors name it."""
        return _place(self.where, entry.line, entry.path)

    def said(self, severity: Literal["error", "warning"]) -> tuple[str, ...]:
        """What there is to say about it, each with its place."""
        return tuple(_place(self.where, f.line, f.message) for f in self.findings if f.severity == severity)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Whole sentences for people."""
        return self.said("warning")


def _place(where: str, line: int | None, what: str) -> str:
    return f"{where}:{line}: {what}" if line else f"{where}: {what}"


def read_document(text: str, *, where: str) -> Document:
    """A document from TOML text; `where` names the file in messages.

    Raises ConfigError, which names every fault: text that is not TOML, a known key with a value that it cannot have.
    """
    document = examine(text, where=where)
    errors = document.said("error")
    if errors:
        raise ConfigError("\n".join(errors))
    return document


def examine(text: str, *, where: str) -> Document:
    """The same, with what is wrong as findings; what is refused is not among the entries."""
    try:
        table = tomllib.loads(text)
    except RecursionError:
        said = Finding(
            severity="error", line=None, path="", message="not TOML: it is nested too deeply; correct the file"
        )
        return Document(where=where, findings=(said,))
    # TOML's own errors, and numbers with more digits than Python reads.
    except ValueError as error:
        at = re.search(r"line (\d+)", str(error))
        said = Finding(
            severity="error", line=int(at[1]) if at else len(text.splitlines()) or None, path="",
            message=f"not TOML: {error}; correct the file",
        )  # fmt: skip
        return Document(where=where, findings=(said,))
    return _Examiner(line_numbers(text)).document(table, where)


class _Examiner:
    """Goes through the tables of one file."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines
        self._findings: list[Finding] = []

    def document(self, table: Mapping[str, object], where: str) -> Document:
        entries = self._entries(CORE, table, (), self._unknown)
        found = entries.pop("extensions", None)
        entries.pop("plugins", None)
        extensions = self._extensions(found) if found else ()
        self._findings.sort(key=lambda finding: (finding.line or 0, finding.path))
        return Document(where=where, entries=entries, extensions=extensions, findings=tuple(self._findings))

    def _extensions(self, found: Entry) -> tuple[Extension, ...]:
        made: list[Extension] = []
        tables = found.value if isinstance(found.value, dict) else {}
        for name, table in tables.items():
            path = (found.key, name)
            if isinstance(table, dict):
                made.append(self._extension(name, table, path))
            else:
                self._say("error", path, f" = {table!r}: a table belongs here; write [Extensions.{name}]")
        by_cluster: dict[str, Extension] = {}
        for one in made:
            other = by_cluster.setdefault(one.service_cluster, one)
            if other is not one:
                cluster = one.service_cluster or "(unnamed)"
                self._say("error", (found.key, one.name),
                          f": serves the service cluster {cluster}, as [Extensions.{other.name}] does; "
                          "set another ServiceCluster in one of them")  # fmt: skip
        return tuple(made)

    def _extension(self, name: str, table: Mapping[str, object], path: Path) -> Extension:
        entries = self._entries(_TABLE, table, path, self._unknown)
        config = entries.pop("config", None)
        options = config.value if config and isinstance(config.value, dict) else {}
        within = (*path, config.key if config else "Config")
        return Extension(
            name=name,
            line=self._lines.get(path),
            entries=entries,
            config=self._entries(NGINX, options, within, self._unknown_option),
        )

    def _entries(
        self, section: Section, table: Mapping[str, object], path: Path, unknown: Callable[[Section, Path], None]
    ) -> Entries:
        entries: Entries = {}
        for name, value in table.items():
            at = (*path, name)
            if name.lower() in entries:
                other = entries[name.lower()].key
                self._say("error", at, f": the key is there twice, as {other} too, differing in case only; keep one")
                continue
            key = section.key(name)
            if key is None:
                unknown(section, at)
            elif not self._fits(key, value, at):
                continue
            entries[name.lower()] = Entry(
                key=name, value=value, line=self._lines.get(at), path=".".join(at),
                effect=key.effect if key else None, doc=key.doc if key else "",
            )  # fmt: skip
        return entries

    def _fits(self, key: Key, value: object, path: Path) -> bool:
        shown = "…" if key.secret else repr(value)
        if key.name == "Extensions" and isinstance(value, list):
            self._say("error", path, ": [[Extensions]] is of Interlock 1; write a table [Extensions.<name>] for each, "
                                     "with the keys that `interlock config keys` lists")  # fmt: skip
            return False
        try:
            key.kind.read(value)
        except Unfit as unfit:
            said, hidden = unfit.said(key.name), f"{unfit.why}; write {key.name} = {key.kind.example}"
            self._say("error", path, f" = {shown}: {hidden if key.secret else said}")
            return False
        return True

    def _unknown(self, section: Section, path: Path) -> None:
        name = path[-1]
        old = {key.lower(): instead for key, instead in FIRST_VERSION.items()}.get(name.lower())
        if old is not None:
            self._say("warning", path, f": a key of Interlock 1, ignored; its place is taken by {old}")
            return
        elsewhere = next((s for s in (CORE, _TABLE, NGINX) if s is not section and s.key(name)), None)
        near = section.nearest(name)
        if near:
            hint = f"; did you mean {near}?"
        elif elsewhere:
            hint = f"; it belongs {f'into {elsewhere.title}' if elsewhere.title else 'at the top of the file'}"
        else:
            hint = ""
        self._say("warning", path, f": unknown key, ignored{hint}")

    def _unknown_option(self, section: Section, path: Path) -> None:
        if path[-1].lower() in {name.lower() for name in HAPROXY_ONLY}:
            self._say("warning", path, ": a key of Interlock's HAProxy, ignored: this table is read for nginx")
        else:
            self._unknown(section, path)

    def _say(self, severity: Literal["error", "warning"], path: Path, message: str) -> None:
        name = ".".join(path)
        said = Finding(severity=severity, line=self._lines.get(path), path=name, message=f"{name}{message}")
        self._findings.append(said)
