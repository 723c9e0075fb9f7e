"""What the person sees: a live table with lines running above it, or plain lines where there is no terminal. Shell.

`picture` is pure: from what was observed to what rich draws.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from interlock.inspection.view import RouteView
from interlock_demo.narration import Counted
from interlock_demo.observer import Sight

SUMMARY_EVERY = 10.0
"""Seconds between two lines of the state where there is no terminal."""

_MOST_DOTS = 12


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """The load, as the screen shows it. Latency in milliseconds."""

    rate: float = 0.0
    counted: Counted = Counted()
    retries: int = 0
    p99: float = 0.0

    def __str__(self) -> str:
        retried = f" · {self.retries:,} retried by nginx" if self.retries else ""
        return f"load {self.rate:.0f}/s · {self.counted}{retried} · p99 {self.p99:.1f} ms"


class Screen(Protocol):
    """Both ways to show."""

    def say(self, line: str, style: str = "") -> None:
        """A line that stays."""

    def show(self, sight: Sight, traffic: Traffic, hints: Sequence[str]) -> None:
        """The present state; `hints` are lines below it."""

    def close(self) -> None:
        """The end."""


class LiveScreen:
    """A terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._console = console
        self._begun = False

    def say(self, line: str, style: str = "") -> None:
        """See `Screen`."""
        self._console.print(Text(line, style=style))

    def show(self, sight: Sight, traffic: Traffic, hints: Sequence[str]) -> None:
        """See `Screen`."""
        if not self._begun:
            self._live.start()
            self._begun = True
        self._live.update(picture(sight, traffic, hints), refresh=True)

    def close(self) -> None:
        """See `Screen`."""
        if self._begun:
            self._live.stop()


class PlainScreen:
    """No terminal: lines, no control codes, each flushed."""

    def __init__(self) -> None:
        self._shown_at: float | None = None
        self._hinted = False

    def say(self, line: str, style: str = "") -> None:  # noqa: ARG002  # a colour is for terminals
        """See `Screen`."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def show(self, sight: Sight, traffic: Traffic, hints: Sequence[str]) -> None:
        """See `Screen`."""
        now = time.monotonic()
        if self._shown_at is None:
            for line in lines(sight):
                self.say(line)
        if self._shown_at is None or now - self._shown_at >= SUMMARY_EVERY:
            self._shown_at = now
            self.say(summary(sight, traffic))
        if hints and not self._hinted:
            self._hinted = True
            for hint in hints:
                self.say(hint)

    def close(self) -> None:
        """See `Screen`."""


def screen() -> Screen:
    """The one that fits standard output."""
    console = Console(highlight=False)
    return LiveScreen(console) if console.is_terminal and not console.is_dumb_terminal else PlainScreen()


def picture(sight: Sight, traffic: Traffic, hints: Sequence[str]) -> RenderableType:
    """The live part: routes, proxies, load, problems, hints."""
    parts: list[RenderableType] = [Text(), _routes(sight.routes), Text(), _proxies(sight)]
    parts.append(Text(str(traffic), style="bold red" if traffic.counted.failed else "bold green"))
    if sight.away:
        parts.append(Text(f"the bus cannot be asked, what is shown is old: {sight.away}", style="yellow"))
    for cluster in sight.clusters:
        parts += [
            Text(f"{p.severity}  {p}", style="red" if p.severity == "error" else "yellow") for p in cluster.problems
        ]
        parts += [Text(f"stale  {line}", style="yellow") for line in cluster.stale]
    if hints:
        parts += [Text(), *(Text(hint) for hint in hints)]
    return Group(*parts)


def lines(sight: Sight) -> list[str]:
    """The routes and proxies, a line each."""
    routes = [
        f"{route.host}{route.path} → {', '.join(route.services)}: "
        + (", ".join(f"{e.address}:{e.port}" for e in route.endpoints) or "none")
        for route in sight.routes
    ]
    return routes + [
        f"{p.outcome.extension} ({p.outcome.proxy}) runs plan {p.outcome.version or 'none'}" for p in sight.proxies
    ]


def summary(sight: Sight, traffic: Traffic) -> str:
    """The state in one line."""
    hosts, endpoints = sum(c.hosts for c in sight.clusters), sum(c.endpoints for c in sight.clusters)
    plans = ", ".join(str(c.version) for c in sight.clusters)
    running = ", ".join(f"{p.outcome.extension} runs {p.outcome.version}" for p in sight.proxies) or "no proxy runs"
    return f"{hosts} hosts, {endpoints} endpoints · plan {plans}, {running} · {traffic}"


def _routes(routes: Sequence[RouteView]) -> Table:
    table = _table("host", "path", "services", "endpoints", "")
    for route in routes:
        draining = sum(e.draining for e in route.endpoints)
        serving = len(route.endpoints) - draining
        dots = Text("●" * min(serving, _MOST_DOTS), style="green")
        dots.append("○" * min(draining, _MOST_DOTS), style="yellow")
        said = f"{serving}" + (f", {draining} draining" if draining else "")
        nothing = Text("none: answers 503", style="yellow")
        table.add_row(route.host, route.path, ", ".join(route.services), dots, said if route.endpoints else nothing)
    return table


def _proxies(sight: Sight) -> Table:
    table = _table("proxy", "runs", "plan", "last change", "drains", "")
    plan = ", ".join(str(cluster.version) for cluster in sight.clusters)
    for proxy in sight.proxies:
        o = proxy.outcome
        margins = [drain.margin for drain in o.drains]
        drains = f"{len(margins)}, least margin {min(margins):.1f} s" if margins else "none yet"
        table.add_row(
            f"{o.extension} ({o.proxy})",
            Text(str(o.version or "nothing"), style="yellow" if proxy.behind else "green"),
            plan,
            f"{o.result} ({o.reason})" if o.reason else o.result,
            drains,
            f"{o.drain_misses} missed" if o.drain_misses else "",
        )
    if not sight.proxies:
        table.add_row(Text("none is alive", style="red"), "", plan, "", "", "")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="ellipsis", no_wrap=True)
    return table
