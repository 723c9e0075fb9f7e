"""What a check is. Services register theirs under the entry point group `interlock.checks`, each a `Check`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Literal

import msgspec

from interlock.config.document import Document
from interlock.errors import InterlockError

GROUP = "interlock.checks"

Severity = Literal["ok", "warning", "error"]
Role = Literal["watcher", "planner", "proxy", "all"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `lost`: what it costs as it is; `remedy`: what to do. Both empty where it is ok."""

    severity: Severity
    subject: str
    found: str
    lost: str = ""
    remedy: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor was told. `role`: whose needs; with `all`, what is not set up here is not missed.

    `places`: where settings were said, by their keys in config.toml.
    """

    role: Role = "all"
    bus_url: str = ""
    region: str = ""
    cluster: str = ""
    docker: str = ""
    tls: tuple[str, str, str] = ("", "", "")
    extension: str = "nginx"
    nginx: str = ""
    haproxy: str = ""
    state_dir: str = ""
    document: Document = Document()
    places: Mapping[str, str] = {}

    def __repr__(self) -> str:
        """Without the bus, whose URL may hold a password."""
        return f"Ask(role={self.role!r}, region={self.region!r}, cluster={self.cluster!r})"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """`roles`: whose check it is. `here`: whether what it looks at is set up here, asked for the role `all` only."""

    name: str
    roles: tuple[Role, ...]
    run: Callable[[Ask], Iterable[Finding]]
    here: Callable[[Ask], bool] = lambda _ask: True


def ok(subject: str, found: str) -> Finding:
    return Finding(severity="ok", subject=subject, found=found)


def warning(subject: str, found: str, *, lost: str, remedy: str) -> Finding:
    return Finding(severity="warning", subject=subject, found=found, lost=lost, remedy=remedy)


def error(subject: str, found: str, *, lost: str, remedy: str) -> Finding:
    return Finding(severity="error", subject=subject, found=found, lost=lost, remedy=remedy)


def installed() -> tuple[list[Check], list[Finding]]:
    """The checks of every service whose extra is installed, and what is to be said of the others."""
    checks: list[Check] = []
    absent: list[Finding] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        try:
            checks.append(point.load())
        except ModuleNotFoundError as missing:
            absent.append(ok(point.name, f"not checked: {missing.name} is not installed here"))
    return checks, absent


def examine(ask: Ask, checks: Iterable[Check]) -> list[Finding]:
    """What these checks find. One that fails is a finding, and keeps no other from looking."""
    found: list[Finding] = []
    for check in checks:
        if ask.role != "all" and ask.role not in check.roles:
            continue
        if ask.role == "all" and not check.here(ask):
            found.append(ok(check.name, f"not checked: nothing of it is set up here (--role {check.roles[0]} does)"))
            continue
        try:
            found += check.run(ask)
        except InterlockError as failed:
            found.append(
                error(check.name, str(failed), lost="what depends on it does not work", remedy="as the message says")
            )
        except Exception as failed:  # noqa: BLE001  # a broken check must not hide what the others found
            found.append(
                error(
                    check.name,
                    f"the check itself failed: {type(failed).__name__}: {failed}",
                    lost="what it would have looked at is not known",
                    remedy="report this as a mistake of Interlock's",
                )
            )
    return found
