"""What is remembered of a host while its policy is on trial, and who is told of a refusal."""

from __future__ import annotations

import msgspec
import pytest

from interlock.model.held import Held
from interlock.model.routing import unserved
from interlock.model.swarm import Service
from interlock.wire.fields import policy_digest
from interlock_planner.plan import scratch
from interlock_planner.stages.holding import turned
from support.swarm_values import service, task


@pytest.mark.parametrize(
    ("between", "before", "after"),
    [
        ("", "a", ""),
        ("", None, ""),
        ("", "w", ""),
        ("", "x", "x"),
        ("x", "x", "x"),
        ("xy", "y", "xy"),
        ("xy", "x", "xyx"),
        ("xyxy", "x", "yxyx"),
    ],
)
def test_what_was_published_between_is_remembered_once_and_in_order(
    between: str, before: str | None, after: str
) -> None:
    record = Held(policy=unserved("a"), between=tuple(map(unserved, between)))
    found = turned(record, unserved("w"), unserved(before) if before else None)
    assert found == Held(policy=unserved("a"), between=tuple(map(unserved, after)))
    # What was refused was never in force: what is published is what is held.
    refused = msgspec.structs.replace(record, refused="digest")
    assert turned(refused, unserved("w"), unserved("x")) == record


def test_of_two_services_of_one_name_the_one_that_moved_is_told() -> None:
    def named(service_id: str, path: str) -> Service:
        return service("shop", task(service_id), service_id=service_id, hosts="shop.com", context_root=path)

    stays = named("s1", "/longer")
    accepted, wanted = (scratch([stays, named("s2", path)]).hosts["shop.com"] for path in ("/b", "/c"))
    record = Held(policy=accepted, refused=policy_digest(wanted))
    assert scratch([stays, named("s2", "/c")], {"shop.com": record}).problems.keys() == {"s2"}


def test_an_upstream_that_an_earlier_version_named_otherwise_is_nobodys_change() -> None:
    stays = service("stays", hosts="shop.com", context_root="/stays")
    accepted, wanted = (
        scratch([stays, service("moves", hosts="shop.com", context_root=path)]).hosts["shop.com"]
        for path in ("/b", "/c")
    )
    routes = tuple(msgspec.structs.replace(route, upstream=f"v0_{route.upstream}") for route in accepted.routes)
    record = Held(policy=msgspec.structs.replace(accepted, routes=routes), refused=policy_digest(wanted))
    plan = scratch([stays, service("moves", hosts="shop.com", context_root="/c")], {"shop.com": record})
    assert plan.problems.keys() == {"id-moves"}
