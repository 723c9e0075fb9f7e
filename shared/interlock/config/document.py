"""config.toml as values: every key checked against the registry, with its line (case-insensitive, as Go reads keys).

Unknown keys are reported with the nearest known one and otherwise tolerated; a known key's bad value is refused, also
where the key takes effect later only. Pure: `interlock.runtime.settings` reads the file and calls `read_document`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Literal, cast

import msgspec

from interlock.config.haproxy import HAPROXY
from interlock.config.key import Effect, Key, Section
from interlock.config.kinds import Unfit, mapping, without_password
from interlock.config.lines import Path, line_numbers
from interlock.config.nginx import NGINX
from interlock.config.sections import CORE, EXTENSION, FIRST_VERSION, PROXY
from interlock.config.toml import NotToml, tables
from interlock.errors import ConfigError

SECTIONS = (CORE, EXTENSION, PROXY, NGINX, HAPROXY)

USUAL = "nginx"
"""The kind of proxy where a table names none."""

OPTIONS = {USUAL: NGINX, "haproxy": HAPROXY}
"""The keys of `Config` by the table's `Extension`. What another kind's are is its own business."""

_CALLED = {USUAL: "nginx", "haproxy": "HAProxy"}
_TABLE = Section(title=EXTENSION.title, about="", keys=(*EXTENSION.keys, *PROXY.keys))
_FOREIGN = Section(title=NGINX.title, about="", keys=())


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

    @property
    def kind(self) -> str:
        """The kind of proxy, by which its `Config` is read."""
        entry = self.entries.get("extension")
        return str(entry.value) if entry and entry.value else USUAL

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
    # Some editors begin a file with it.
    text = text.removeprefix("\ufeff")
    try:
        table = tables(text)
    except NotToml as wrong:
        said = Finding(severity="error", line=wrong.line, path=wrong.path, message=wrong.message)
        return Document(where=where, findings=(said,))
    return _Examiner(line_numbers(text)).document(table, where)


_Pieces = list[tuple[Path, Mapping[str, object]]]
"""A table that is there once for each way in which its name and those around it are spelt, each with its path."""


def _within(pieces: _Pieces, name: str) -> _Pieces:
    """The tables of this name in any case."""
    return [
        ((*path, key), value)
        for path, table in pieces
        for key, value in table.items()
        if key.lower() == name and isinstance(value, dict)
    ]


class _Examiner:
    """Goes through the tables of one file."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines
        self._findings: list[Finding] = []

    def document(self, table: Mapping[str, object], where: str) -> Document:
        whole: _Pieces = [((), table)]
        entries = self._entries(CORE, whole, self._unknown)
        entries.pop("plugins", None)
        extensions = self._extensions(_within(whole, "extensions")) if entries.pop("extensions", None) else ()
        self._findings.sort(key=lambda finding: (finding.line or 0, finding.path))
        return Document(where=where, entries=entries, extensions=extensions, findings=tuple(self._findings))

    def _extensions(self, pieces: _Pieces) -> tuple[Extension, ...]:
        found: dict[str, _Pieces] = {}
        for within, extensions in pieces:
            for name, table in extensions.items():
                path = (*within, name)
                if isinstance(table, dict):
                    found.setdefault(name, []).append((path, table))
                else:
                    self._say("error", path, f" = {table!r}: a table belongs here; write [Extensions.{name}]")
        made = [self._extension(name, parts) for name, parts in found.items()]
        by_cluster: dict[str, Extension] = {}
        for one in made:
            other = by_cluster.setdefault(one.service_cluster, one)
            if other is not one:
                cluster = one.service_cluster or "(unnamed)"
                self._say("error", found[one.name][0][0],
                          f": serves the service cluster {cluster}, as [Extensions.{other.name}] does; "
                          "set another ServiceCluster in one of them")  # fmt: skip
        return tuple(made)

    def _extension(self, name: str, pieces: _Pieces) -> Extension:
        entries = self._entries(_TABLE, pieces, self._unknown)
        config = _within(pieces, "config") if entries.pop("config", None) else []
        table = self._without_template(Extension(name=name, line=self._lines.get(pieces[0][0]), entries=entries))
        if table.kind in OPTIONS:
            options = self._entries(OPTIONS[table.kind], config, self._unknown_option)
        else:
            # Another extension refuses by itself what it does not know.
            options = self._entries(_FOREIGN, config, lambda _section, _path: None)
            self._misspelt(table)
        return msgspec.structs.replace(table, config=options)

    def _without_template(self, table: Extension) -> Extension:
        """A template is nginx's; another extension's is its own business."""
        entry = table.get("Template")
        if entry is None or not str(entry.value).strip() or table.kind == USUAL or table.kind not in OPTIONS:
            return table
        said = (
            f"{entry.path} = {entry.value!r}: templates are for nginx, and this table is for {_CALLED[table.kind]}; "
            f"write GlobalOptions and DefaultOptions in [Extensions.{table.name}.Config], or leave it out"
        )
        self._findings.append(Finding(severity="error", line=entry.line, path=entry.path, message=said))
        rest = {key: found for key, found in table.entries.items() if found is not entry}
        return msgspec.structs.replace(table, entries=rest)

    def _misspelt(self, table: Extension) -> None:
        """Nobody would look at the options of what is almost a kind that is known."""
        near = difflib.get_close_matches(table.kind.strip().lower(), OPTIONS, n=1, cutoff=0.8)
        if near:
            entry = table.entries["extension"]
            path = f"{entry.path} = {entry.value!r}"
            said = f"{path}: its Config is not looked at, for that is no proxy of ours; did you mean {near[0]}?"
            self._findings.append(Finding(severity="warning", line=entry.line, path=entry.path, message=said))

    def _entries(self, section: Section, pieces: _Pieces, unknown: Callable[[Section, Path], None]) -> Entries:
        entries: Entries = {}
        for within, name, value in ((path, name, value) for path, table in pieces for name, value in table.items()):
            at, other = (*within, name), entries.get(name.lower())
            if other is not None and not (isinstance(value, dict) and isinstance(other.value, dict)):
                self._twice(at, other.path, other.line)
                continue
            key = section.key(name)
            if key is None:
                unknown(section, at)
            elif not self._fits(key, value, at):
                continue
            entries[name.lower()] = self._merged(other, value, at, key) if other is not None else Entry(
                key=name, value=value, line=self._lines.get(at), path=".".join(at),
                effect=key.effect if key else None, doc=key.doc if key else "",
            )  # fmt: skip
        return entries

    def _merged(self, first: Entry, more: object, path: Path, key: Key | None) -> Entry:
        """A table that is there in two spellings. Where its keys are the user's, they are told apart as written."""
        one, other = cast("dict[str, object]", first.value), cast("dict[str, object]", more)
        if key is not None and key.kind.name == mapping().name:
            for name in one.keys() & other.keys():
                there = f"{first.path}.{name}"
                line = next((line for at, line in self._lines.items() if ".".join(at) == there), None)
                self._twice((*path, name), there, line)
        return msgspec.structs.replace(first, value={**one, **other})

    def _twice(self, path: Path, other: str, line: int | None) -> None:
        place = f"{other} in line {line}" if line else other
        self._say("error", path, f": the key is there twice, as {place} too, differing in case only; keep one of them")

    def _fits(self, key: Key, value: object, path: Path) -> bool:
        shown = "…" if key.secret else without_password(repr(value))
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
        elsewhere = next((s for s in (CORE, _TABLE, *OPTIONS.values()) if s is not section and s.key(name)), None)
        near = section.nearest(name)
        if near:
            hint = f"; did you mean {near}?"
        elif elsewhere:
            hint = f"; it belongs {f'into {elsewhere.title}' if elsewhere.title else 'at the top of the file'}"
        else:
            hint = ""
        self._say("warning", path, f": unknown key, ignored{hint}")

    def _unknown_option(self, section: Section, path: Path) -> None:
        mine = next(kind for kind, options in OPTIONS.items() if options is section)
        other = next((kind for kind, options in OPTIONS.items() if options.key(path[-1])), None)
        if other is None:
            self._unknown(section, path)
            return
        remedy = f'write Extension = "{other}" in [{".".join(path[:-2])}] if its proxy is {_CALLED[other]}'
        said = f": a key of {_CALLED[other]}, ignored: this table is read for {_CALLED[mine]}; {remedy}"
        self._say("warning", path, said)

    def _say(self, severity: Literal["error", "warning"], path: Path, message: str) -> None:
        name = ".".join(path)
        said = Finding(severity=severity, line=self._lines.get(path), path=name, message=f"{name}{message}")
        self._findings.append(said)
