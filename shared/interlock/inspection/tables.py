"""Tables for people: pure, from the values of `view` to what rich prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from interlock.inspection.view import ClusterView, RegionView, RouteView, StatusView
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.routing import DEFAULT_HOST, Endpoint

_JUMP_SHOWN = 600.0
"""Seconds for which a jump of a watcher's clock is told."""


def status_tables(view: StatusView) -> RenderableType:
    """Regions, clusters, proxies, then what is stale and what is wrong."""
    if not view.clusters and not any(region.watcher for region in view.regions):
        return Text("No service cluster yet: start a watcher, and label a service with com.docker.lb.hosts and .port.")
    parts: list[RenderableType] = [_regions(view), Text(), _clusters(view), Text(), _proxies(view), Text()]
    said = [f"{_name(c)}: {text}" for c in view.clusters for text in c.stale]
    said += [f"{r.region}: {text}" for r in view.regions for text in _region_stale(r, view.at)]
    parts += [Text(f"stale  {line}", style="yellow") for line in said]
    jumped = [f"{r.region}: {text}" for r in view.regions for text in _region_clock(r, view.at)]
    parts += [Text(f"clock  {line}", style="yellow") for line in jumped]
    for cluster in view.clusters:
        for problem in cluster.problems:
            style = "red" if problem.severity == "error" else "yellow"
            others = f" (concerns {', '.join(problem.concerned)})" if problem.concerned else ""
            parts.append(Text(f"{problem.severity}  {problem}{others} [{problem.code}]", style=style))
        for proxy in cluster.proxies:
            parts += _proxy_says(proxy.outcome)
    return Group(*parts)


def _proxy_says(outcome: Outcome) -> list[Text]:
    said = [Text(f"rejected  {outcome.proxy}: {r.host}: {r.reason}", style="red") for r in outcome.rejections]
    said += [
        Text(f"denied  {outcome.proxy}: service {d.service}: {d.address} gets no requests: {d.why}", style="yellow")
        for d in outcome.denied
    ]
    more = int(outcome.counters.get("endpoints_denied", 0)) - len(outcome.denied)
    return said if more <= 0 else [*said, Text(f"denied  {outcome.proxy}: {more} more", style="yellow")]


def routes_table(views: Sequence[RouteView]) -> RenderableType:
    """One row a route."""
    if not views:
        return Text("No routes: no service is labelled, or nothing has been planned yet (see `interlock status`).")
    table = _table("cluster", "host", "path", "services", "endpoints", wide="host")
    for view in views:
        table.add_row(
            Cluster(view.region, view.cluster).title,
            "(any other)" if view.host == DEFAULT_HOST else view.host,
            f"{view.path} → /" if view.rewrite else view.path,
            ", ".join(view.services),
            f"redirected to {view.redirect}"
            if view.redirect
            else "\n".join(_endpoint(e) for e in view.endpoints) or Text("none: answers 503", style="yellow"),
        )
    return table


def ago(seconds: float) -> str:
    """A duration in the largest fitting unit: `3 s`, `4 min`, `2 h`, `5 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size * 1.5:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _table(*columns: str, wide: str = "") -> Table:
    """`wide`: the only column that may be wrapped, so that the others stay readable on 80 columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column != wide)
    return table


def _name(cluster: ClusterView) -> str:
    return Cluster(cluster.region, cluster.cluster).title


def _regions(view: StatusView) -> Table:
    table = _table("region", "watcher", "Docker", "services", "unsettled", "listed", "poll every", wide="watcher")
    for region in view.regions:
        watcher = region.watcher
        if watcher is None:
            table.add_row(region.region, Text("none has written yet", style="yellow"))
            continue
        listed = "never" if watcher.last_listing is None else f"{ago(view.at - watcher.last_listing)} ago"
        docker = f"API {watcher.api_version}" if watcher.stale_since is None else Text("stale", style="yellow")
        table.add_row(
            region.region, watcher.owner, docker, str(watcher.services), str(watcher.unsettled),
            listed, f"{watcher.poll_interval:.1f} s",
        )  # fmt: skip
    return table


def _region_stale(region: RegionView, now: float) -> list[str]:
    watcher = region.watcher
    said = []
    if region.silent_for is not None:
        said.append(f"no watcher has reported for {ago(region.silent_for)}; what was known is still served")
    if watcher is not None and watcher.stale_since is not None:
        said.append(f"Docker, since {ago(now - watcher.stale_since)}: {watcher.reason}; nothing is withdrawn")
    if watcher is not None and watcher.held_since is not None:
        since = ago(now - watcher.held_since)
        said.append(f"held back, since {since}: {watcher.held}; nothing is withdrawn until a second reading says so")
    for service, reason in sorted(watcher.unreadable.items()) if watcher else ():
        said.append(f"service {service} cannot be read, its last good state stays: {reason}")
    return said


def _region_clock(region: RegionView, now: float) -> list[str]:
    watcher = region.watcher
    if watcher is None or watcher.clock_jumped_at is None or now - watcher.clock_jumped_at > _JUMP_SHOWN:
        return []
    when = ago(now - watcher.clock_jumped_at)
    return [
        f"of watcher {watcher.owner} jumped by {watcher.clock_jumped_by:+.1f} s {when} ago; nothing is withdrawn by it"
    ]


def _clusters(view: StatusView) -> Table:
    table = _table("region", "cluster", "plan", "services", "hosts", "endpoints", "problems", wide="cluster")
    for c in view.clusters:
        draining = f" + {c.draining} draining" if c.draining else ""
        table.add_row(
            c.region, _name(c), str(c.version or "none"), str(c.services), str(c.hosts), f"{c.endpoints}{draining}",
            str(len(c.problems)),
        )  # fmt: skip
    return table


def _proxies(view: StatusView) -> Table:
    columns = ("proxy", "extension", "cluster", "runs", "hosts", "endpoints", "drain misses", "last change")
    table = _table(*columns, wide="last change")
    for cluster in view.clusters:
        for proxy in cluster.proxies:
            o = proxy.outcome
            runs = Text(str(o.version or "nothing"), style="yellow" if proxy.behind else "")
            waiting = f" + {o.waiting} waiting" if o.waiting else ""
            table.add_row(
                o.proxy, o.extension, _name(cluster), runs, str(o.hosts), f"{o.endpoints}{waiting}",
                str(o.drain_misses), f"{o.result}{f' ({o.reason})' if o.reason else ''}",
            )  # fmt: skip
    return table


def _endpoint(endpoint: Endpoint) -> str:
    return f"{endpoint.address}:{endpoint.port}{' draining' if endpoint.draining else ''}"
