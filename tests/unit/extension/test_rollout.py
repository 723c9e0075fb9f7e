"""How a change is classified."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.model.routing import HostRedirect, PassiveChecks, VirtualHost
from interlock_extension.port import HostView
from interlock_extension.rollout import classify
from support.nginx_lab import view


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (None, view("a", 1), "added a"),
        (view("a", 1), None, "removed a"),
        (view("a", 1), view("a", 2), "endpoints a"),
        (view("a", 1), view("a", 1, path="/x"), "routes a"),
        (view("a", 1, path="/x"), view("a", 1, path="/x", rewrite=True), "routes a"),
    ],
)
def test_reload(before: HostView | None, after: HostView | None, reason: str) -> None:
    found = classify({"a": (before, after)})
    assert (found.action, found.reason) == ("reload", reason)


@pytest.mark.parametrize(
    "change",
    [
        {"sticky_cookie": "id"},
        {"ip_hash": True},
        {"websockets": ("/ws",)},
        {"passive": {"s": PassiveChecks(max_fails=2)}},
    ],
    ids=str,
)
def test_every_policy_counts(change: dict[str, Any]) -> None:
    before = view("a", 1)
    route = msgspec.structs.replace(before.host.routes[0], **change)
    after = HostView(host=VirtualHost(host="a", routes=(route,)), upstreams=before.upstreams)
    assert classify({"a": (before, after)}).reason == "routes a"


def test_another_redirect_counts_and_who_asked_for_it_does_not() -> None:
    def to(target: str, service: str) -> HostView:
        return HostView(
            host=VirtualHost(host="a", redirect=HostRedirect(target=target, service=service, service_id="s"))
        )

    assert classify({"a": (to("http://b", "x"), to("http://c", "x"))}).reason == "routes a"
    assert classify({"a": (to("http://b", "x"), to("http://b", "y"))}).action == "unchanged"


def test_what_the_proxy_can_do_in_place_needs_no_reload() -> None:
    moved = {"a": (view("a", 1), view("a", 2))}
    new = {"b": (None, view("b", 1))}
    assert classify(moved, in_place={"endpoints"}).action == "update"
    both = classify({**moved, **new}, in_place={"endpoints"})
    assert (both.action, both.because) == ("reload", "routes")
    assert classify({**moved, **new}, in_place={"endpoints", "routes"}).action == "update"
    assert classify(moved, structure=True, in_place={"endpoints", "routes"}).because == "structure"


def test_unchanged() -> None:
    assert classify({"a": (view("a", 1, 2), view("a", 2, 1)), "b": (None, None)}).action == "unchanged"


def test_structure_and_many_hosts() -> None:
    found = classify({name: (None, view(name, 1)) for name in "abcd"}, structure=True)
    assert found.reason == "added a and 3 more; structure"
