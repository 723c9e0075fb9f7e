"""How long changes take until all proxies have them, on a real bus: counted by who plans, and once."""

from __future__ import annotations

import time

import pytest

from interlock.bus.outcomes import Outcomes
from interlock.model.outcome import Outcome
from interlock_planner import spread
from support.bus_servers import Server
from support.planner_lab import Pen, Planner, always, eventually, planner
from support.swarm_values import service, task

NAME = "interlock_planner_change_to_effective_seconds"


def changed(pen: Pen, number: int) -> None:
    """A change of the plan, which is then on the bus."""
    before = pen.snapshot().version
    pen.change(service("shop", task(f"t{number}", f"10.0.1.{number}"), hosts="shop.com"))
    eventually(lambda: pen.snapshot().version != before)


def report(pen: Pen, *proxies: str, after: float = 0.0, ttl: float = 60.0) -> float:
    """They have what is on the bus now in effect, `after` seconds from now; when that is."""
    at = time.time() + after
    for proxy in proxies:
        said = Outcome(
            proxy=proxy, extension="nginx", version=pen.snapshot().version, result="updated", effective_at=at, at=at
        )
        Outcomes(pen.bus).publish(pen.cluster, said, ttl=ttl)
    return at


def counted(running: Planner) -> tuple[float, float]:
    """How many, and the seconds of all together."""
    value = running.metrics.registry.get_sample_value
    labels = {"region": "r", "cluster": "east"}
    return value(f"{NAME}_count", labels) or 0.0, value(f"{NAME}_sum", labels) or 0.0


def serving(running: Planner, pen: Pen, *proxies: str) -> tuple[float, float]:
    """A first change is everywhere, and the planner has counted it; what it has counted by then."""
    pen.listing(service("shop", task("t1", "10.0.1.1"), hosts="shop.com"))
    eventually(lambda: pen.snapshot().version is not None)
    changed(pen, 9)
    report(pen, *proxies)
    eventually(lambda: counted(running)[0] >= 1)
    return counted(running)


def test_a_change_is_counted_once_when_the_last_proxy_has_it(server: Server, pen: Pen) -> None:
    with planner(server.url) as running:
        number, _ = serving(running, pen, "p1", "p2")
        began = time.time()
        changed(pen, 2)
        report(pen, "p1", after=0.5)
        always(lambda: counted(running)[0] == number, 0.8)
        _, before = counted(running)
        at = report(pen, "p2", after=7.0)
        eventually(lambda: counted(running)[0] == number + 1)
        # The trail's first cause is a moment younger than `began`.
        assert at - began - 0.5 < counted(running)[1] - before <= at - began
        report(pen, "p1", "p2")
        always(lambda: counted(running)[0] == number + 1, 0.8)


def test_changes_that_are_folded_are_each_counted(server: Server, pen: Pen) -> None:
    with planner(server.url) as running:
        number, _ = serving(running, pen, "p1")
        for last in (2, 3, 4):
            changed(pen, last)
        report(pen, "p1")
        eventually(lambda: counted(running)[0] == number + 3)


def test_each_of_several_between_two_looks_has_its_own_time(server: Server, pen: Pen) -> None:
    with planner(server.url) as running:
        number, before = serving(running, pen, "p1")
        changed(pen, 2)
        report(pen, "p1")
        changed(pen, 3)
        report(pen, "p1", after=20.0)
        eventually(lambda: counted(running)[0] == number + 2)
        # Were the first taken for the second's, it would be 40.
        assert 20 <= counted(running)[1] - before < 22


def test_a_proxy_that_is_gone_holds_nothing_up(server: Server, pen: Pen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "PATIENCE", 0.5)
    with planner(server.url) as running:
        number, _ = serving(running, pen, "p1", "p2")
        changed(pen, 2)
        report(pen, "p1")
        always(lambda: counted(running)[0] == number, 0.8)
        # As a heartbeat: nobody says anything new from now on.
        Outcomes(pen.bus).publish(pen.cluster, Outcome(proxy="p2", extension="nginx"), news=False, ttl=0.01)
        eventually(lambda: counted(running)[0] == number + 1)


def test_after_a_takeover_nothing_is_counted_twice(server: Server, pen: Pen) -> None:
    with planner(server.url, "first") as first:
        number, _ = serving(first, pen, "p1")
        changed(pen, 2)
        report(pen, "p1")
        eventually(lambda: counted(first)[0] == number + 1)
        changed(pen, 3)
    with planner(server.url, "second") as second:
        eventually(lambda: second.count("clusters") == 1)
        report(pen, "p1")
        changed(pen, 4)
        report(pen, "p1")
        eventually(lambda: counted(second)[0] == 1)
        always(lambda: counted(second)[0] == 1, 0.8)
        assert counted(first)[0] == number + 1
