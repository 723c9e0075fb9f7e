"""Whatever lies under our keys: nobody dies of it, no neighbour notices, and the owner's next write puts it right."""

from __future__ import annotations

import time

import pytest

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.follower import Follower
from interlock.bus.lease import Lease
from interlock.bus.registry import Registry
from interlock.bus.state import Entry, Snapshot, StateWriter
from interlock.errors import ConfigError, Diverged
from interlock.inspection import view
from interlock.model.names import Cluster
from interlock.model.version import Token
from interlock.wire.trail import Trail

EAST, WEST = Cluster("eu", "east"), Cluster("eu", "west")
HERE, THERE = keys.services(EAST), keys.services(WEST)
TOKEN = Token(epoch=10, nonce="ten")

DAMAGE = {
    "seq": ("HSET", HERE.state, "@seq", "abc"),
    "nonce": ("HSET", HERE.state, "@nonce", b"\xff"),
    "generation": ("HSET", HERE.state, "@gen", b"\xff\xfe"),
    "place in the log": ("HSET", HERE.state, "@log", b"\xff"),
    "bytes": ("HSET", HERE.state, "@off", "many"),
    "origin": ("HSET", HERE.state, "@from", b"\xff \xff \xff"),
    "fence": ("HSET", HERE.fence, "epoch", "abc"),
    "state's type": ("SET", HERE.state, "a string"),
    "log's type": ("SET", HERE.log, "a string"),
    "fence's type": ("SET", HERE.fence, "a string"),
    "a field": ("HSET", HERE.state, b"\xff\xfe", b"\xff"),
}


def written(bus: Bus, partition: keys.Partition) -> StateWriter:
    writer = StateWriter(bus, partition)
    writer.replace({"a": b"1"}, token=TOKEN, trail=Trail())
    return writer


def change(writer: StateWriter, value: bytes) -> None:
    """As owners write: a change, and the whole state where it is refused."""
    try:
        writer.write({"a": value}, token=TOKEN, trail=Trail())
    except Diverged:
        writer.replace({"a": value}, token=TOKEN, trail=Trail())


@pytest.mark.parametrize("what", DAMAGE)
def test_the_owners_next_write_puts_it_right_and_readers_come_to_it(bus: Bus, what: str) -> None:
    here, there = written(bus, HERE), written(bus, THERE)
    follower = Follower(bus, [HERE, THERE])
    follower.poll(0.1)
    command = DAMAGE[what]
    if command[0] == "SET":
        bus.command("DEL", command[1])
    bus.command(*command)
    change(there, b"2")
    seen = []
    deadline = time.monotonic() + 3
    while not any(p == THERE and isinstance(u, Entry) for p, u in seen):
        assert time.monotonic() < deadline, "the neighbour's change did not arrive"
        seen += follower.poll(0.2)
    if not here.verify():
        change(here, b"3")
    change(here, b"4")
    fields: dict[str, bytes] = {}
    while fields.get("a") != b"4":
        assert time.monotonic() < deadline + 5, "the owner's write did not arrive"
        for partition, update in follower.poll(0.2):
            if partition == HERE and isinstance(update, Snapshot):
                fields = update.fields
            elif partition == HERE:
                fields |= {c.field: c.after for c in update.changes}
    assert here.verify()


@pytest.mark.parametrize("what", DAMAGE)
def test_the_status_of_the_others_is_still_shown(bus: Bus, what: str) -> None:
    for cluster, partition in ((EAST, HERE), (WEST, THERE)):
        Registry(bus).register(cluster)
        written(bus, partition)
    command = DAMAGE[what]
    if command[0] == "SET":
        bus.command("DEL", command[1])
    bus.command(*command)
    shown = {c.cluster: c for c in view.status(bus).clusters}
    assert shown["west"].services == 1
    assert "east" in shown
    assert view.routes(bus) == ()


def test_a_lease_of_nonsense_is_free(bus: Bus) -> None:
    key = keys.cluster_lease(EAST)
    bus.command("HSET", key, "owner", "x", "until", "abc", "epoch", "x", "nonce", b"\xff")
    assert Lease(bus, key, "one").acquire() is not None
    bus.command("DEL", key)
    bus.command("SET", key, "a string")
    assert Lease(bus, key, "one").acquire() is not None


def test_a_registry_of_nonsense_hides_no_cluster(bus: Bus) -> None:
    Registry(bus).register(EAST)
    for field in (b"\xff\xfe", "a/b/c/%zz", "", "no-slash"):
        bus.command("HSET", keys.CLUSTERS, field, b"x")
    assert Registry(bus).clusters() == (EAST,)


@pytest.mark.parametrize("url", ["redis://[::1", "redis://127.0.0.1:1/0?foo=bar", "redis://h:99999/0", "unix://?x=y"])
def test_a_url_that_only_connecting_would_refuse_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError):
        Bus.connect(url)
