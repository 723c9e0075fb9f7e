"""Asking our nginx over the private unix socket in its folder. Shell."""

from __future__ import annotations

import re
from pathlib import Path

from interlock.runtime import health
from interlock_extension.nginx.render import STATUS_PATH, STATUS_SOCKET

_TIMEOUT = 1.0
_STUB_STATUS = re.compile(
    r"Active connections: (?P<connections_active>\d+)\s+server accepts handled requests\s+"
    r"(?P<connections_accepted_total>\d+) (?P<connections_handled_total>\d+) (?P<requests_total>\d+)\s+"
    r"Reading: (?P<connections_reading>\d+) Writing: (?P<connections_writing>\d+) "
    r"Waiting: (?P<connections_waiting>\d+)"
)


def ask(folder: Path, path: str) -> str | None:
    """The body that nginx answers with; None when it does not answer."""
    return health.ask(str(folder / STATUS_SOCKET), path, _TIMEOUT)


def figures(folder: Path) -> dict[str, float]:
    """nginx's own figures, by the names of `meters.PROXYS_OWN`, what we ask of it included; old workers' too.

    Empty where it does not answer, or was built without its stub_status module.
    """
    return read_figures(ask(folder, STATUS_PATH) or "")


def read_figures(text: str) -> dict[str, float]:
    """The same from the text of stub_status."""
    found = _STUB_STATUS.search(text)
    return {name: float(value) for name, value in found.groupdict().items()} if found else {}
