"""Finding extensions: by entry point, so that others can add theirs without touching ours."""

from __future__ import annotations

from importlib.metadata import entry_points

from interlock.errors import ConfigError
from interlock_extension.port import Extension

GROUP = "interlock.extensions"


def names() -> list[str]:
    """The extensions that are installed, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def pooled(extension: Extension) -> bool:
    """Whether it acts for proxies elsewhere, in a pool, and writes to them under `Settings.fence` alone."""
    return getattr(extension, "pooled", False) is True


def load(name: str) -> Extension:
    """The extension of that name. Raises `ConfigError` when there is none, or when it cannot be imported."""
    for point in entry_points(group=GROUP, name=name):
        try:
            found: Extension = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"extension {name!r} ({point.value}) cannot be loaded: {error}; reinstall it") from error
        return found
    raise ConfigError(f"there is no extension {name!r}; installed are: {', '.join(names()) or 'none'}")
