"""When a proxy counts as healthy."""

from __future__ import annotations

import msgspec
import pytest

from interlock.model.outcome import Outcome
from interlock.model.version import Version
from interlock_extension.health import PLANLESS, ProxyHealth

VERSION = Version(generation="generation", seq=7, nonce="n")


class Said:
    def __init__(self) -> None:
        self.present = Outcome(proxy="p", extension="nginx")
        self.reached_at = 0.0

    def becomes(self, **facts: object) -> None:
        self.present = msgspec.structs.replace(self.present, **facts)


class Bench:
    def __init__(self) -> None:
        self.said, self.now, self.alive_at = Said(), 1000.0, 1000.0
        self.jump = 0.0
        self.witness: tuple[str, tuple[str, ...]] | None = ("/run/s", ("abc", "coming"))
        self.health = ProxyHealth(
            self.said,  # type: ignore[arg-type]  # of a herald only these two are looked at
            lambda: self.witness,
            lambda: self.alive_at,
            lambda: self.now + self.jump,
            lambda: self.now,
        )

    def judge(self) -> tuple[bool, str]:
        state = self.health.state()
        return bool(state["ok"]), str(state["says"])


def test_who_serves_its_version_is_healthy() -> None:
    bench = Bench()
    bench.said.becomes(version=VERSION, result="reloaded", hosts=3)
    assert bench.judge() == (True, "serves version genera:7, 3 hosts")
    assert bench.health.state()["serves"] == ["abc", "coming"]


def test_stale_is_said_and_is_not_death() -> None:
    bench = Bench()
    bench.said.becomes(version=VERSION, result="reloaded", stale_since=100.0)
    okay, says = bench.judge()
    assert okay
    assert "stale for 900 s" in says


def test_without_a_proxy_there_is_no_health() -> None:
    bench = Bench()
    bench.witness = None
    bench.said.becomes(version=VERSION, result="starting", reason="port in use")
    assert bench.judge() == (False, "the proxy does not run: port in use")
    assert "socket" not in bench.health.state()


def test_a_change_that_is_refused_is_said_and_is_not_death() -> None:
    """It is refused by every proxy of the cluster at once, and all serve what was last accepted."""
    bench = Bench()
    bench.said.becomes(version=VERSION, result="rejected", reason="disk full")
    bench.judge()
    bench.now += 600
    okay, says = bench.judge()
    assert okay
    assert "nothing could be brought into effect for 600 s: disk full" in says
    bench.said.becomes(result="reloaded", reason="")
    assert bench.judge() == (True, "serves version genera:7, 0 hosts")


def test_why_it_is_stale_is_said() -> None:
    bench = Bench()
    bench.said.becomes(version=VERSION, result="reloaded", stale_reason="no watcher acts")
    assert bench.judge() == (True, "serves version genera:7, 0 hosts; may be stale: no watcher acts")


def test_a_new_proxy_waits_for_its_plan_but_not_for_ever() -> None:
    bench = Bench()
    bench.said.reached_at = bench.now
    assert not bench.judge()[0]
    bench.now += PLANLESS
    bench.said.reached_at = bench.now
    okay, says = bench.judge()
    assert okay
    assert "no plan" in says


def test_a_new_proxy_without_a_bus_is_not_healthy() -> None:
    bench = Bench()
    bench.now += 100
    okay, says = bench.judge()
    assert not okay
    assert "no bus" in says


def test_a_worker_that_hangs_gives_no_sign_of_life() -> None:
    bench = Bench()
    bench.now += 30
    # As long as a large apply may take.
    assert bench.health.state()["at"] == bench.now
    bench.now += 60
    assert bench.health.state()["at"] == bench.alive_at


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_makes_nobody_dead_or_alive(jump: float) -> None:
    bench = Bench()
    bench.said.becomes(version=VERSION, result="reloaded")
    bench.jump = jump
    assert bench.health.state()["at"] == bench.now + jump
    bench.said.becomes(version=None, result="starting")
    bench.said.reached_at = bench.now
    assert not bench.judge()[0], "the plan has not been waited for any longer"
    bench.now += 90
    assert bench.health.state()["at"] == bench.now + jump - 90
