"""Registry, outcomes, a region's facts and the connection itself."""

from __future__ import annotations

import time

import pytest

from interlock.bus import keys
from interlock.bus.connection import Bus, without_password
from interlock.bus.env import RegionEnv
from interlock.bus.outcomes import Outcomes
from interlock.bus.registry import Registry
from interlock.errors import BusUnavailable, ConfigError, Fenced
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.version import Token

WEB = Cluster("eu", "web")


def test_clusters_are_registered_once_and_found_by_region(bus: Bus) -> None:
    registry = Registry(bus)
    for cluster in (WEB, Cluster("eu", ""), Cluster("us", "web"), WEB):
        registry.register(cluster)
    assert registry.clusters() == (Cluster("eu", ""), WEB, Cluster("us", "web"))
    assert registry.clusters("us") == (Cluster("us", "web"),)
    assert registry.clusters("eu") == (Cluster("eu", ""), WEB)


def test_an_outcome_lives_as_long_as_its_heartbeat(bus: Bus) -> None:
    outcomes = Outcomes(bus)
    outcomes.publish(WEB, Outcome(proxy="p1", extension="nginx", hosts=3), ttl=0.2)
    outcomes.publish(WEB, Outcome(proxy="p2", extension="nginx"), news=False)
    assert [o.proxy for o in outcomes.live(WEB)] == ["p1", "p2"]
    time.sleep(0.3)
    assert [o.proxy for o in outcomes.live(WEB)] == ["p2"]
    assert bus.command("XLEN", f"{keys.outcomes(WEB)}:log") == 1


def test_an_outcome_that_cannot_be_read_hides_no_other(bus: Bus) -> None:
    outcomes = Outcomes(bus)
    outcomes.publish(WEB, Outcome(proxy="p1", extension="nginx"))
    bus.command("HSET", keys.outcomes(WEB), "p0", b"99999999999999:\xc1")
    assert [o.proxy for o in outcomes.live(WEB)] == ["p1"]


def test_a_regions_facts_are_written_by_its_owner_only(bus: Bus) -> None:
    env = RegionEnv(bus, "eu")
    assert env.read() == {}
    env.write({"watcher": b"1", "nodes": b"2"}, Token(epoch=2, nonce="b"))
    with pytest.raises(Fenced):
        env.write({"watcher": b"late"}, Token(epoch=1, nonce="a"))
    env.write({"nodes": None}, Token(epoch=2, nonce="b"))
    assert env.read() == {"watcher": b"1"}


def test_an_absent_server_is_unavailable_and_not_empty() -> None:
    bus = Bus.connect("unix:///nonexistent/bus.sock")
    with pytest.raises(BusUnavailable, match="cannot be asked"):
        Registry(bus).clusters()


@pytest.mark.parametrize("url", ["http://x", "bus.sock", "", "redis://host:port/0"])
def test_a_bad_url_names_the_remedy(url: str) -> None:
    with pytest.raises(ConfigError):
        Bus.connect(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("rediss://me:hunt/er@2@host", "rediss://me:***@host"),
        ("unix:///run/bus.sock?password=hunter2&db=1", "unix:///run/bus.sock?password=***&db=1"),
        ("redis://host:6379", "redis://host:6379"),
        ("ftp://:hunter2@host", "ftp://:***@host"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    try:
        said = str(Bus.connect(url).url)
    except ConfigError as error:
        said = str(error)
    assert "hunt" not in said
