"""A herald that may not speak is silent: another speaks for the proxy by now."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.bus.connection import Bus
from interlock.bus.embedded import EmbeddedServer
from interlock.bus.outcomes import HEARTBEAT_TTL, Outcomes
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock_extension.herald import Herald
from support.planner_lab import always, eventually

CLUSTER = Cluster("eu", "a")


@pytest.fixture
def bus() -> Iterator[Bus]:
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        server = EmbeddedServer.start(Path(folder))
        bus = Bus.connect(server.url)
        yield bus
        bus.close()
        server.close()


def test_who_may_not_speak_is_silent_and_what_it_had_to_say_is_forgotten(bus: Bus) -> None:
    may, stop = threading.Event(), threading.Event()
    herald = Herald(bus, CLUSTER, Outcome(proxy="f5", extension="f5", reason="first"), may=may.is_set)
    thread = threading.Thread(target=herald.run, args=(stop,))
    thread.start()

    def said() -> list[str]:
        return [outcome.reason for outcome in Outcomes(bus).live(CLUSTER)]

    herald.say(Outcome(proxy="f5", extension="f5", reason="while silent"), news=True)
    always(lambda: said() == [], 1.3)
    herald.say(Outcome(proxy="f5", extension="f5", reason="now"), news=False)
    may.set()
    eventually(lambda: said() == ["now"], 3)
    herald.say(Outcome(proxy="f5", extension="f5", reason="news"), news=True)
    eventually(lambda: said() == ["news"], 1)
    assert bus.command("XLEN", "il:{eu/a}:outcomes:log") == 1, "what was said in silence was logged"
    stop.set()
    thread.join(3)
    assert not thread.is_alive()


def test_the_last_words_outlast_a_heartbeat_and_nothing_is_said_after_them(bus: Bus) -> None:
    stop = threading.Event()
    herald = Herald(bus, CLUSTER, Outcome(proxy="f5", extension="f5", reason="first", hosts=3))
    thread = threading.Thread(target=herald.run, args=(stop,))
    thread.start()
    eventually(lambda: [o.reason for o in Outcomes(bus).live(CLUSTER)] == ["first"], 3)
    herald.fail("TypeError: x")
    herald.say(Outcome(proxy="f5", extension="f5", result="updated"), news=True)

    def last_words() -> bool:
        [said] = Outcomes(bus).live(CLUSTER)
        return (said.result, said.hosts) == ("rejected", 3) and "not acted for: TypeError: x;" in said.reason

    always(last_words, HEARTBEAT_TTL + 0.5)
    stop.set()
    thread.join(3)
    assert not thread.is_alive()
