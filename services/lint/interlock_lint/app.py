"""Lint put together: files and the bus in, a report out, in the asked format. The only composition root."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from interlock.bus.connection import Bus
from interlock.errors import InterlockError
from interlock.labels.label import Proxy
from interlock_lint.bus_state import read_state
from interlock_lint.checking import check, compare
from interlock_lint.document import Unread
from interlock_lint.dry_run import ClusterState
from interlock_lint.formats import FORMATS

STDIN = "-"


def run(
    files: Sequence[str],
    *,
    stack: str = "",
    form: str = "text",
    strict: bool = False,
    proxies: Sequence[Proxy] = (),
    bus_url: str = "",
    region: str = "default",
    environment: Mapping[str, str] | None = None,
) -> int:
    """Check the files as one stack, print the report on stdout; the exit status.

    `bus_url`: also compare with what is there; empty for no bus. `environment`: for the variables, this process' own
    where None. `proxies`: those that the stack is for; empty: any.
    """
    texts, unread = _read(files)
    names = os.environ if environment is None else environment
    variables = {_text(name): _text(value) for name, value in names.items()}
    checked = check(texts, variables, stack=stack, unread=unread, proxies=proxies)
    report = checked.report
    if bus_url:
        try:
            shown, state = _look(bus_url, region)
        except InterlockError as error:
            report = msgspec.structs.replace(report, bus_error=_text(str(error)))
        else:
            report = compare(checked, state, bus=shown, region=region, stack=stack)
    sys.stdout.buffer.write(FORMATS[form](report).encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
    return report.exit_status(strict=strict)


def _look(url: str, region: str) -> tuple[str, dict[str, ClusterState]]:
    bus = Bus.connect(url, name="interlock-lint")
    try:
        return bus.url, read_state(bus, region)
    finally:
        bus.close()


def _read(files: Sequence[str]) -> tuple[list[tuple[str, bytes]], list[Unread]]:
    texts: list[tuple[str, bytes]] = []
    unread: list[Unread] = []
    for file in files:
        name = "<stdin>" if file == STDIN else _text(file)
        try:
            texts.append((name, sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            unread.append(Unread(file=name, reason=f"cannot be read: {why}", remedy="Give the path of a readable file"))
    return texts, unread


def _text(name: str) -> str:
    """What the system gave us, as text that can be written."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
