"""The lease contract: one owner at a time, by the server's clock, with tokens that only grow."""

from __future__ import annotations

import time

import pytest

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.lease import Lease, LeaseKeeper, holders
from interlock.bus.state import StateWriter
from interlock.model.names import Cluster
from interlock.wire.trail import Trail

KEY = keys.cluster_lease(Cluster("eu", "web"))
HERE = keys.plan(Cluster("eu", "web"))


def until(condition, within: float = 5.0) -> float:
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError("the condition did not come true")
        time.sleep(0.01)
    return time.monotonic() - began


def test_one_holds_it_and_another_waits_for_its_end(bus: Bus) -> None:
    one, two = Lease(bus, KEY, "one", ttl=0.3), Lease(bus, KEY, "two", ttl=0.3)
    first = one.acquire()
    assert two.acquire() is None
    assert not two.held
    until(lambda: two.acquire() is not None)
    assert two.token.epoch > first.epoch
    assert not one.held


def test_renewing_keeps_the_token(bus: Bus) -> None:
    lease = Lease(bus, KEY, "one", ttl=0.3)
    first = lease.acquire()
    time.sleep(0.15)
    assert lease.acquire() == first
    time.sleep(0.2)
    assert lease.held


def test_a_released_lease_is_free_at_once(bus: Bus) -> None:
    one, two = Lease(bus, KEY, "one"), Lease(bus, KEY, "two")
    one.acquire()
    one.release()
    assert two.acquire() is not None


def test_a_release_by_another_changes_nothing(bus: Bus) -> None:
    one, two = Lease(bus, KEY, "one"), Lease(bus, KEY, "two")
    one.acquire()
    two.release()
    assert two.acquire() is None


def test_epochs_grow_across_a_flush(bus: Bus) -> None:
    lease = Lease(bus, KEY, "one")
    first = lease.acquire()
    bus.command("FLUSHALL")
    second = lease.acquire()
    assert second.epoch > first.epoch
    assert second.nonce != first.nonce


def test_a_refused_owner_outbids_the_fence(bus: Bus) -> None:
    lease = Lease(bus, KEY, "one")
    first = lease.acquire()
    assert lease.acquire(first.epoch + 1000).epoch > first.epoch + 1000


def test_the_token_of_a_lease_opens_the_partition_and_shuts_the_former_owner_out(bus: Bus) -> None:
    one, two = Lease(bus, KEY, "one", ttl=0.2), Lease(bus, KEY, "two")
    old = one.acquire()
    StateWriter(bus, HERE).replace({"a": b"1"}, token=old, trail=Trail())
    until(lambda: two.acquire() is not None)
    writer = StateWriter(bus, HERE)
    writer.fence(two.token)
    with pytest.raises(Exception, match="newer owner"):
        StateWriter(bus, HERE).write({"a": b"2"}, token=old, trail=Trail())
    writer.write({"a": b"3"}, token=two.token, trail=Trail())


def test_a_keeper_takes_over_within_two_seconds_of_a_death(bus: Bus) -> None:
    dead = Lease(bus, KEY, "dead")
    dead.acquire()
    keeper = LeaseKeeper(bus, "standby").start()
    try:
        keeper.want(KEY)
        assert until(lambda: keeper.token(KEY) is not None) < 2.1
    finally:
        keeper.close()


def test_a_keeper_tells_of_each_term_once_and_notices_a_flush(bus: Bus) -> None:
    told = []
    keeper = LeaseKeeper(bus, "one", lambda key, token: told.append((key, token))).start()
    try:
        keeper.want(KEY)
        until(lambda: len(told) == 1)
        time.sleep(1.2)
        assert len(told) == 1
        bus.command("FLUSHALL")
        assert until(lambda: len(told) == 2) < 1.0
        assert told[1][1].epoch > told[0][1].epoch
    finally:
        keeper.close()
    assert Lease(bus, KEY, "next").acquire() is not None


def test_a_keeper_that_cannot_reach_the_server_lets_go_by_its_own_clock(bus: Bus) -> None:
    told = []
    keeper = LeaseKeeper(bus, "one", lambda key, token: told.append(token), ttl=0.6).start()
    try:
        keeper.want(KEY)
        until(lambda: len(told) == 1)
        bus.command("CLIENT", "PAUSE", 2500, "ALL")
        until(lambda: keeper.token(KEY) is None, within=1.0)
    finally:
        time.sleep(2.6)
        keeper.close()


def test_a_keeper_outlives_a_listener_that_fails(bus: Bus) -> None:
    failures = []

    def listener(key: str, token: object) -> None:
        failures.append(key)
        raise RuntimeError("a listener's bug")

    keeper = LeaseKeeper(bus, "one", listener).start()
    try:
        keeper.want(KEY)
        until(lambda: failures)
        time.sleep(1.8)
        assert keeper.token(KEY) is not None, "the lease is not renewed any more"
    finally:
        keeper.close()


def test_a_lease_that_is_not_wanted_any_more_is_free_at_once(bus: Bus) -> None:
    keeper = LeaseKeeper(bus, "one").start()
    try:
        keeper.want(KEY)
        until(lambda: keeper.token(KEY) is not None)
        keeper.unwant(KEY)
        assert until(lambda: Lease(bus, KEY, "two").acquire() is not None) < 1.0
    finally:
        keeper.close()


def test_a_token_for_a_write_that_takes_its_time(bus: Bus) -> None:
    lease = Lease(bus, KEY, "one", ttl=5.0)
    token = lease.acquire()
    assert lease.token_for(4.0) == token
    assert lease.token_for(5.0) is None
    with_keeper = LeaseKeeper(bus, "two", ttl=5.0)
    lease.release()
    with_keeper.want(KEY)
    with_keeper.start()
    until(lambda: with_keeper.token(KEY, 3.0) is not None)
    assert with_keeper.token(KEY, 5.0) is None
    with_keeper.close()


def test_who_holds_which_of_many(bus: Bus) -> None:
    names = [keys.pool_lease(Cluster("eu", name), "f5") for name in ("a", "b", "c", "d")]
    Lease(bus, names[0], "one").acquire()
    Lease(bus, names[1], "two", ttl=0.1).acquire()
    given_back = Lease(bus, names[2], "three")
    given_back.acquire()
    given_back.release()
    bus.command("SET", names[3], "not of our making")
    until(lambda: holders(bus, names) == {names[0]: "one"})
    assert holders(bus, []) == {}
