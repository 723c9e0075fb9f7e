"""Every label by name, found in the folder `known`, in the order of the documentation."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from interlock.labels import known
from interlock.labels.label import Check, Label

_ORDER = ("hosts", "backends", "clusters", "paths")
"""The families that every reader needs come first, then the others by name."""


def _modules() -> list[Any]:
    names = sorted(module.name for module in pkgutil.iter_modules(known.__path__))
    names.sort(key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    return [importlib.import_module(f"{known.__name__}.{name}") for name in names]


_FAMILIES = _modules()

LABELS: dict[str, Label[Any]] = {label.name: label for family in _FAMILIES for label in family.LABELS}
"""Every label, also those without effect yet (`Label.field` is empty)."""

CHECKS: tuple[Check, ...] = tuple(check for family in _FAMILIES for check in getattr(family, "CHECKS", ()))

FAMILIES: dict[str, tuple[Label[Any], ...]] = {
    family.__name__.rpartition(".")[2]: tuple(family.LABELS) for family in _FAMILIES
}
"""The labels of each module; its docstring is the family's heading."""
