"""What the person sees, without a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from interlock.inspection.view import ClusterView, ProxyView, RouteView, StatusView
from interlock.model.outcome import Drain, Outcome
from interlock.model.problem import Problem
from interlock.model.routing import Endpoint
from interlock.model.version import Version
from interlock_demo.narration import Counted
from interlock_demo.observer import Sight
from interlock_demo.screen import Traffic, lines, picture, summary

VERSION = Version(generation="abcdef99", seq=3, nonce="n")
PROBLEM = Problem(
    service="shop",
    service_id="id",
    key="com.docker.lb.hosts",
    value="a b",
    reason="holds two",
    remedy="Separate [them]",
)
TRAFFIC = Traffic(rate=40, counted=Counted(requests=1240, failed=0), p99=4.2)


def _sight(*, behind: bool = False, draining: int = 0, waiting: int = 0) -> Sight:
    endpoint = Endpoint(address="127.20.0.3", port=8080, task="t1", service_id="id", service="shop")
    leaving = Endpoint(address="127.20.0.4", port=8080, task="t2", service_id="id", service="shop", draining_since=1.0)
    drain = Drain(task="t", service="shop", desired_at=1.0, let_go_at=1.5, margin=1.5)
    outcome = Outcome(
        proxy="extension", extension="nginx", version=VERSION, result="reloaded", reason="endpoints shop.localhost",
        drains=(drain,), drain_misses=2, waiting=waiting,
    )  # fmt: skip
    cluster = ClusterView(
        region="default", cluster="", version=VERSION, complete=True, services=1, hosts=1, upstreams=1, endpoints=1,
        draining=draining, proxies=(ProxyView(outcome=outcome, behind=behind),), problems=(PROBLEM,), stale=(),
    )  # fmt: skip
    route = RouteView(
        region="default", cluster="", host="shop.localhost", path="/", rewrite=False, upstream="u", services=("shop",),
        endpoints=(endpoint, leaving),
    )  # fmt: skip
    return Sight(status=StatusView(at=0.0, bus="", regions=(), clusters=(cluster,)), routes=(route,))


def _drawn(sight: Sight, hints: tuple[str, ...] = ()) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(picture(sight, TRAFFIC, hints))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_picture_has_what_matters() -> None:
    drawn = _drawn(_sight(), ("type [this]",))
    for text in (
        "shop.localhost", "●○", "1, 1 draining", "nginx (extension)", "abcdef:3", "reloaded (endpoints shop.localhost)",
        "1, least margin 1.5 s", "2 missed", "load 40/s · 0 of 1,240 requests failed · p99 4.2 ms",
        "error  shop: com.docker.lb.hosts='a b': holds two. Separate [them]", "type [this]",
    ):  # fmt: skip
        assert text in drawn, text


def test_a_bus_that_is_away_is_said() -> None:
    assert "the bus cannot be asked, what is shown is old: gone" in _drawn(Sight(away="gone"))
    assert "none is alive" in _drawn(Sight())


def test_plain_lines() -> None:
    assert lines(_sight()) == [
        "shop.localhost/ → shop: 127.20.0.3:8080, 127.20.0.4:8080",
        "nginx (extension) runs plan abcdef:3",
    ]
    assert summary(_sight(), TRAFFIC) == (
        "1 hosts, 1 endpoints · plan abcdef:3, nginx runs abcdef:3 · "
        "load 40/s · 0 of 1,240 requests failed · p99 4.2 ms"
    )


def test_settled_means_nothing_is_waited_for() -> None:
    assert _sight().settled
    assert not _sight(behind=True).settled
    assert not _sight(draining=1).settled
    assert not _sight(waiting=1).settled
    assert not Sight().settled
    assert not Sight(status=_sight().status, away="gone").settled
