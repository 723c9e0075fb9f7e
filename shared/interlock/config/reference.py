"""`docs/config.md`: the registry for people. Pure; `make docs` writes it, and a test notices when it is stale."""

from __future__ import annotations

from interlock.config.document import SECTIONS
from interlock.config.haproxy import HAPROXY
from interlock.config.key import Effect, Key, Section
from interlock.config.nginx import NGINX
from interlock.config.sections import FIRST_VERSION

EFFECTS: dict[Effect, str] = {"now": "now", "later": "in a later version", "none": "no known effect"}
"""When a key takes effect, for people."""

_HEAD = """\
# config.toml

Generated from the registry in `shared/interlock/config/` by `make docs`; change it there.

Every service takes Interlock's `config.toml`: `--config FILE`, or `INTERLOCK_CONFIG` with the path of a file. Where
that variable holds TOML text itself, the text counts, and no file. It is text where no file has that name and it has
more than one line, or an `=`, or begins with `#` or `[`; anything else is a path. Blanks and line breaks around it do
not count. An option of the command line comes before its variable, that before the file.

    interlock config check config.toml     # which keys take effect now, later or not at all, and what is wrong
    interlock config keys                  # this list

- Keys are read in any case. A table that is there in two spellings is one; the same key twice, differing in case only,
  is refused.
- An unknown key is reported with the nearest known one, and is otherwise ignored.
- A bad value ends the process at once with status 2, also one of a key that takes effect in a later version only. The
  message names file, line, key, value and what to write.
- `Config` holds the options of the kind of proxy that the table's `Extension` names; a key of another kind is reported
  as such, and ignored. A worker whose `--extension` is another kind than that of a table with options does not start.
- Raw lines are tried by the proxy itself before anything starts. One that it refuses ends the worker with its place and
  what the proxy said; the proxy that already runs serves on.
- Of nginx, a directive of ours gives way to a raw line where that is possible; nginx calls any other one a duplicate.
  End each directive with its semicolon, as in nginx's own files. HAProxy's lines have none.
- *(ours)*: Interlock does not have that key.
"""


def markdown() -> str:
    """The whole document."""
    return "\n".join([_HEAD, *map(_section, SECTIONS), _rest()])


def _section(section: Section) -> str:
    table, end, more = section.title.partition("]")
    title = f"## `{table}{end}`{more}" if table else "## Core"
    rows = ["| Key | Holds | Default | Takes effect | |", "|---|---|---|---|---|", *map(_row, section.keys)]
    return "\n".join([title, "", section.about, "", *rows, ""])


def _row(key: Key) -> str:
    default = key.default[1:-1] if key.default.startswith("(") else f"`{key.default}`"
    name = f"`{key.name}`{' *(ours)*' if key.ours else ''}"
    cells = (name, key.kind.name, default, EFFECTS[key.effect], key.doc)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _rest() -> str:
    old = [f"| `{key}` | {instead} |" for key, instead in FIRST_VERSION.items()]
    return "\n".join(
        [
            "## Not of this",
            "",
            f"Of HAProxy only, ignored in a table that is read for nginx: {_only(HAPROXY, NGINX)}.",
            "",
            f"Of nginx only, ignored in a table that is read for HAProxy: {_only(NGINX, HAPROXY)}.",
            "",
            "Of Interlock 1: `[[Extensions]]` arrays are refused; these keys are ignored, with what takes their place:",
            "",
            "| Key of Interlock 1 | Now |",
            "|---|---|",
            *old,
            "",
        ]
    )


def _only(one: Section, other: Section) -> str:
    """The keys that one has and the other has not."""
    return ", ".join(f"`{key.name}`" for key in one.keys if not other.key(key.name))
