"""The bus goes back in time under load: an older dump of every key is restored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.pipeline import PREFIX, Pipeline
from support.steps import figures

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

RATE = 220.0


def _dump(pipeline: Pipeline) -> dict[bytes, tuple[int, bytes]]:
    """Every key: what is left of its life in milliseconds (0: for ever), and its bytes."""
    bus = pipeline.bus
    found = {key: (bus.command("PTTL", key), bus.command("DUMP", key)) for key in bus.command("KEYS", "*")}
    return {key: (max(0, ttl), data) for key, (ttl, data) in found.items() if data is not None}


def _restore(pipeline: Pipeline, dump: dict[bytes, tuple[int, bytes]]) -> None:
    """All keys as in the dump and no other, in one step as far as any reader can see."""
    commands: list[tuple[Any, ...]] = [("MULTI",), ("FLUSHALL",)]
    commands += [("RESTORE", key, ttl, data) for key, (ttl, data) in dump.items()]
    done = pipeline.bus.pipeline([*commands, ("EXEC",)])[-1]
    assert done == [b"OK"] * (len(dump) + 1), done


def test_an_older_dump_restored_under_load(installation: Pipeline, follows: Callable[[Pipeline], None]) -> None:
    """Since the dump every task of the shop was replaced, a host came and a host went."""
    sim = installation.sim
    sim.set_labels("blog", {PREFIX + "hosts": "blog.test,former.test"})
    installation.wait_routed("former.test")
    installation.wait_effective("shop", "blog")
    dump = _dump(installation)
    sim.update("shop", env={"APP_VERSION": "after the dump"}, order="start-first")
    sim.set_labels("blog", {PREFIX + "hosts": "blog.test,latter.test"})
    installation.wait_routed("latter.test")
    installation.wait_effective("shop", "blog", timeout=60)
    before = {route.host: route.endpoints for route in installation.routes()}
    with installation.load(["shop.test", "blog.test", "latter.test"], rate=RATE) as load:
        installation.wait(lambda: load.report().requests > RATE, "the load is up")
        _restore(installation, dump)
        installation.wait(lambda: {r.host: r.endpoints for r in installation.routes()} == before, "it is as it was")
        # Readers that heard nothing compare what they have with the bus every few seconds.
        healed = load.report().requests
        installation.wait(lambda: load.report().requests > healed + RATE * 4, "all have compared", timeout=30)
        installation.wait_effective("shop", "blog", timeout=60)
    print(f"\n{figures('an older dump restored', load.report())}")
    assert load.report().failed == 0, load.report().failures[:5]
    installation.wait_unrouted("former.test")
    follows(installation)
