"""The members of a pool: who lives, by the server's clock."""

from __future__ import annotations

import time

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.members import PoolMembers


def test_who_lives_is_who_said_so_of_late(bus: Bus) -> None:
    members = PoolMembers(bus, "eu", "f5", ttl=0.3)
    assert members.stay("two") == ("two",)
    assert members.stay("one") == ("one", "two")
    deadline = time.monotonic() + 5
    while members.stay("one") != ("one",):
        assert time.monotonic() < deadline, "who is silent lives on"
        time.sleep(0.05)
    assert members.stay("two") == ("one", "two")
    members.leave("one")
    assert members.stay("two") == ("two",)


def test_pools_and_regions_know_nothing_of_one_another(bus: Bus) -> None:
    PoolMembers(bus, "eu", "f5").stay("one")
    assert PoolMembers(bus, "eu", "f6").stay("two") == ("two",)
    assert PoolMembers(bus, "us", "f5").stay("three") == ("three",)


def test_a_key_of_another_making_gives_way_and_leaves_nothing_behind(bus: Bus) -> None:
    bus.command("SET", keys.pool_members("eu", "f5"), "other")
    members = PoolMembers(bus, "eu", "f5")
    assert members.stay("one") == ("one",)
    assert bus.command("PTTL", keys.pool_members("eu", "f5")) > 0
