"""Structured logs on stderr: `key=value` for people, JSON for collectors. Every service calls `configure` once.

Log lines never carry secrets; callers log names, counts and versions.
"""

from __future__ import annotations

import contextlib
import logging as stdlib
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger as Logger

LEVELS = ("debug", "info", "warning", "error")


def configure(level: str = "info", *, json: bool = False) -> None:
    """Set up logging for the process. `level`: one of LEVELS. May be called again."""
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if json:
        # structlog's own choice also writes out every local variable, the bus' URL with its password among them.
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        processors += [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer(default=str)]
    else:
        processors += [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(stdlib, level.upper())),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,
    )


def get_logger(**bound: object) -> Logger:
    """A logger that carries `bound` (such as `service="watcher"`) on every line."""
    logger: Logger = structlog.get_logger(**bound)
    return logger


class _Stderr:
    """Writes lines to whatever sys.stderr is now, since tests and daemons replace it.

    That nobody reads any more (the parent was killed) must not stop a service from stopping in order.
    """

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg = log = _write


def _to_stderr(*_: object) -> _Stderr:
    return _Stderr()
