"""How a change is classified."""

from __future__ import annotations

import pytest

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


def test_unchanged() -> None:
    assert classify({"a": (view("a", 1, 2), view("a", 2, 1)), "b": (None, None)}).action == "unchanged"


def test_structure_and_many_hosts() -> None:
    found = classify({name: (None, view(name, 1)) for name in "abcd"}, structure=True)
    assert found.reason == "added a and 3 more; structure"
