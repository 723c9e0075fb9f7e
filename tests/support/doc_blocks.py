"""Files that a document holds: each a fenced block of code after a line that is its name in backquotes and a colon."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^`([\w.-]+(?:/[\w.-]+)*)`:\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_in(text: str) -> dict[str, str]:
    """Name to content, in the order of the document. A name that is told twice is an error."""
    found = _BLOCK.findall(text)
    files = dict(found)
    assert len(files) == len(found), "a file stands there twice"
    return files


def write_out(document: Path, folder: Path) -> list[str]:
    """Lay the document's files out in this folder; their names."""
    files = files_in(document.read_text(encoding="utf-8"))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return list(files)
