"""The checkout as data: its source roots, packages and modules, for the tests of the architecture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = (ROOT / "shared", *sorted(p for p in (ROOT / "services").iterdir() if p.is_dir()))
PACKAGES = tuple(p.parent for root in SOURCE_ROOTS for p in sorted(root.glob("*/__init__.py")))


class Module(NamedTuple):
    """One of our modules: its import name, file and text."""

    name: str
    path: Path
    text: str


def modules(package: Path) -> Iterator[Module]:
    """The modules of a package, in the order of their paths."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield Module(name, path, path.read_text(encoding="utf-8"))
