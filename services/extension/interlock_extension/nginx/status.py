"""Asking our nginx over the private unix socket in its folder. Shell."""

from __future__ import annotations

from pathlib import Path

from interlock.runtime import health
from interlock_extension.nginx.render import STATUS_SOCKET

_TIMEOUT = 1.0


def ask(folder: Path, path: str) -> str | None:
    """The body that nginx answers with; None when it does not answer."""
    return health.ask(str(folder / STATUS_SOCKET), path, _TIMEOUT)
