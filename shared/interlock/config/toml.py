"""TOML text to tables, and what is wrong with it as a line and a sentence in our words. Pure."""

from __future__ import annotations

import re
import tomllib

from interlock.config.lines import noted

_TWICE = (
    "Cannot overwrite a value",
    "Cannot declare",
    "Cannot redefine",
    "Cannot mutate",
    "Duplicate inline table key",
)
"""How `tomllib` begins what it says of a key that is there already; it names neither the key nor the other place."""

_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


class NotToml(Exception):
    """`line`: from 1, None where it cannot be told. `path`: the key's, with its tables; empty for none.

    `message`: a whole sentence that begins with the path, if any.
    """

    def __init__(self, line: int | None, message: str, path: str = "") -> None:
        super().__init__(message)
        self.line, self.path, self.message = line, path, message


def tables(text: str) -> dict[str, object]:
    """What the text holds. Raises `NotToml`."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise NotToml(None, "not TOML: it is nested too deeply; correct the file") from None
    # TOML's own errors, and numbers with more digits than Python reads.
    except ValueError as error:
        said = _twice(text, str(error)) if str(error).startswith(_TWICE) else None
        if said is None:
            at = re.search(r"line (\d+)", str(error))
            line = int(at[1]) if at else len(text.splitlines()) or None
            said = NotToml(line, f"not TOML: {error}; correct the file")
        raise said from error


def _twice(text: str, error: str) -> NotToml | None:
    """What to say of the key at which `tomllib` stopped: the last one before that place."""
    # Its lines and columns count so.
    text = text.replace("\r\n", "\n")
    at = _AT.search(error)
    if at:
        lines = text.split("\n")
        text = "\n".join([*lines[: int(at[1]) - 1], lines[int(at[1]) - 1][: int(at[2]) - 1]])
    notes = noted(text)
    if not notes:
        return None
    *before, (path, line, header) = notes
    name = ".".join(path)
    same = next((note for note in reversed(before) if note.path == path), None)
    if same is not None and not header:
        return NotToml(line, f"{name}: the key is there twice, in line {same.line} too; keep one of them", name)
    if same is not None:
        remedy = "write all its keys below one of them"
        return NotToml(line, f"{name}: the table is there twice, in line {same.line} too; {remedy}", name)
    within = next((note for note in before if note.path[: len(path)] == path), None)
    if within is not None:
        remedy = "write all of it in one place"
        return NotToml(line, f"{name}: there are keys of it already, in line {within.line}; {remedy}", name)
    around = max(
        (note for note in before if path[: len(note.path)] == note.path), key=lambda n: len(n.path), default=None
    )
    if around is None:
        return None
    whole = ".".join(around.path)
    remedy = f"write all of {whole} in one place"
    return NotToml(line, f"{name}: {whole} is there already, in line {around.line}, and takes no more; {remedy}", name)
