"""Where tables are printed: as wide as the terminal, and where there is none (a pipe, `docker exec`) wide enough."""

from __future__ import annotations

import sys

from rich.console import Console

WITHOUT_A_TERMINAL = 180


def console() -> Console:
    """On stdout."""
    return Console() if sys.stdout.isatty() else Console(width=WITHOUT_A_TERMINAL)
