"""Held policies and the news of proxies: what the planner keeps for its successor, and how it hears of refusals."""

from __future__ import annotations

import msgspec
import pytest

from interlock.bus import held as held_module
from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.held import HeldPolicies
from interlock.bus.outcomes import OutcomeLog, OutcomeNews, Outcomes
from interlock.bus.state import StateWriter
from interlock.errors import BusUnavailable, Corrupted, Fenced
from interlock.model.held import Held
from interlock.model.names import Cluster
from interlock.model.outcome import HostRejection, Outcome
from interlock.model.routing import unserved
from interlock.model.version import Token
from interlock.wire import codec
from interlock.wire.trail import Trail

EAST, WEST = Cluster("eu", "east"), Cluster("eu", "west")
OLD, NEW = Token(epoch=1, nonce="old"), Token(epoch=2, nonce="new")
A, B = (
    Held(policy=unserved(host, ("s",)), refused="d", reason="no", proxies=("p1",), runs=("r",), since=1.5)
    for host in ("a.com", "b.com")
)


def test_what_is_written_is_read_by_the_next_one_and_a_removal_removes(bus: Bus) -> None:
    held = HeldPolicies(bus, EAST)
    assert held.read() == {}
    held.write({"a.com": A, "b.com": B}, OLD)
    held.write({"a.com": None}, OLD)
    assert HeldPolicies(bus, EAST).read() == {"b.com": B}
    assert HeldPolicies(bus, WEST).read() == {}


def test_a_planner_whose_plan_is_fenced_holds_nothing_any_more(bus: Bus) -> None:
    held = HeldPolicies(bus, EAST)
    held.write({"a.com": A}, OLD)
    StateWriter(bus, keys.plan(EAST)).fence(NEW)
    with pytest.raises(Fenced):
        held.write({"a.com": None}, OLD)
    with pytest.raises(Fenced):
        held.replace({"b.com": B}, OLD)
    assert held.read() == {"a.com": A}
    held.write({"b.com": B}, NEW)
    assert held.read() == {"a.com": A, "b.com": B}


def test_replacing_leaves_just_these_in_steps_of_any_size(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_module, "MOST_FIELDS", 3)
    held = HeldPolicies(bus, EAST)
    many = {f"h{n}.com": A for n in range(10)}
    held.replace(many, NEW)
    assert held.read() == many
    held.replace({"h3.com": A, "b.com": B}, NEW)
    assert held.read() == {"h3.com": A, "b.com": B}


def test_what_cannot_be_read_is_left_out_and_written_over(bus: Bus) -> None:
    held = HeldPolicies(bus, EAST)
    held.write({"b.com": B}, OLD)
    newer = msgspec.msgpack.encode({"v": codec.SCHEMA + 1, "k": "held", "b": {}})
    bus.command("HSET", keys.held(EAST), "a.com", newer)
    assert held.read() == {"b.com": B}
    held.replace({"a.com": A}, OLD)
    assert held.read() == {"a.com": A}


def test_a_key_of_another_type_is_put_right_and_the_plan_is_not_touched(bus: Bus) -> None:
    writer = StateWriter(bus, keys.plan(EAST))
    writer.fence(OLD)
    writer.replace({"host:a": b"1"}, token=OLD, trail=Trail())
    bus.command("SET", keys.held(EAST), "not of our making")
    held = HeldPolicies(bus, EAST)
    assert held.read() == {}
    held.write({"a.com": A}, OLD)
    assert held.read() == {"a.com": A}
    assert writer.verify()


def says(proxy: str, reason: str = "", *rejections: HostRejection) -> Outcome:
    return Outcome(proxy=proxy, extension="nginx", reason=reason, rejections=rejections)


def test_news_come_once_and_with_every_live_proxy(bus: Bus) -> None:
    outcomes, news = Outcomes(bus), OutcomeNews(bus)
    outcomes.publish(EAST, says("p1", "began"))
    assert news.poll([EAST, WEST]) == {EAST: [says("p1", "began")], WEST: []}
    assert news.poll([EAST, WEST]) == {}
    # A heartbeat is none; a log entry is.
    outcomes.publish(EAST, says("p1", "began"), news=False)
    assert news.poll([EAST, WEST]) == {}
    refusing = says("p2", "", HostRejection(host="a", reason="no", refused="d"))
    outcomes.publish(EAST, refusing)
    assert news.poll([EAST, WEST]) == {EAST: [says("p1", "began"), refusing]}
    news.forget(EAST)
    assert news.poll([EAST]) == {EAST: [says("p1", "began"), refusing]}


def test_news_after_a_flush_and_past_a_log_that_is_none(bus: Bus) -> None:
    outcomes, news = Outcomes(bus), OutcomeNews(bus)
    outcomes.publish(EAST, says("p1"))
    news.poll([EAST, WEST])
    bus.command("FLUSHALL")
    bus.command("SET", f"{keys.outcomes(WEST)}:log", "not of our making")
    assert news.poll([EAST, WEST]) == {}
    outcomes.publish(EAST, says("p1", "again"))
    assert news.poll([EAST, WEST]) == {EAST: [says("p1", "again")]}


def test_news_of_one_cluster_are_not_lost_where_another_cannot_be_asked(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes, news = Outcomes(bus), OutcomeNews(bus)
    assert news.poll([EAST, WEST]) == {EAST: [], WEST: []}
    for cluster in (EAST, WEST):
        outcomes.publish(cluster, says("p1"))
    live = Outcomes.live

    def away(self: Outcomes, cluster: Cluster) -> list[Outcome]:
        if cluster == WEST:
            raise BusUnavailable("the bus is away")
        return live(self, cluster)

    with monkeypatch.context() as patched:
        patched.setattr(Outcomes, "live", away)
        with pytest.raises(BusUnavailable):
            news.poll([EAST, WEST])
    assert news.poll([EAST, WEST]) == {EAST: [says("p1")], WEST: [says("p1")]}


def test_outcomes_that_cannot_be_read_are_not_an_absence_of_proxies(bus: Bus) -> None:
    outcomes, news = Outcomes(bus), OutcomeNews(bus)
    for cluster in (EAST, WEST):
        outcomes.publish(cluster, says("p1"))
    bus.command("SET", keys.outcomes(WEST), "not of our making")
    with pytest.raises(Corrupted):
        outcomes.live(WEST)
    assert outcomes.shown(WEST) == []
    # Unknown for one is no reason not to hear the others; it is told once it can be read.
    assert news.poll([WEST, EAST]) == {EAST: [says("p1")]}
    bus.command("DEL", keys.outcomes(WEST))
    outcomes.publish(WEST, says("p1"), news=False)
    assert news.poll([WEST, EAST]) == {WEST: [says("p1")]}


def test_a_rejection_of_an_older_worker_is_read_and_ours_by_an_older_reader() -> None:
    class Older(msgspec.Struct, frozen=True, kw_only=True):
        host: str
        reason: str

    old = codec.encode("r", Older(host="a", reason="no"))
    assert codec.decode("r", old, HostRejection) == HostRejection(host="a", reason="no", refused="")
    new = codec.encode("r", HostRejection(host="a", reason="no", refused="d"))
    assert codec.decode("r", new, Older) == Older(host="a", reason="no")


def test_the_log_brings_each_that_was_said_once_and_in_order(bus: Bus) -> None:
    outcomes, log = Outcomes(bus), OutcomeLog(bus)
    outcomes.publish(EAST, says("p1", "before"))
    assert EAST not in log
    assert log.since(EAST) == log.since(WEST) == []
    assert EAST in log
    said = [says("p1", "a"), says("p2", "b"), says("p1", "c")]
    for outcome in said:
        outcomes.publish(EAST, outcome)
        outcomes.publish(EAST, outcome, news=False)
    outcomes.publish(WEST, says("p3", "w"))
    assert log.since(EAST) == said
    assert log.since(EAST) == []
    assert log.since(WEST) == [says("p3", "w")]
    outcomes.publish(EAST, says("p1", "d"))
    log.forget(EAST)
    assert log.since(EAST) == []


def test_what_of_the_log_cannot_be_read_is_left_out(bus: Bus) -> None:
    outcomes, log = Outcomes(bus), OutcomeLog(bus)
    log.since(EAST)
    bus.command("XADD", f"{keys.outcomes(EAST)}:log", "*", "d", "not of our making")
    bus.command("XADD", f"{keys.outcomes(EAST)}:log", "*", "other", "field")
    for number in range(300):
        outcomes.publish(EAST, says("p1", str(number)))
    assert [outcome.reason for outcome in log.since(EAST)] == [str(number) for number in range(44, 300)]
