"""The ledger of endpoints in use, and the margins with which they were let go."""

from __future__ import annotations

import pytest
from msgspec import structs

from interlock_extension.admission import Key
from interlock_extension.drains import Ledger
from interlock_extension.port import HostView
from support.nginx_lab import view as on_nodes


def view(host: str, *ports: int) -> HostView:
    """With endpoints on a network."""
    found = on_nodes(host, *ports)
    upstreams = (
        structs.replace(u, endpoints=tuple(structs.replace(e, network="web") for e in u.endpoints))
        for u in found.upstreams
    )
    return structs.replace(found, upstreams=tuple(upstreams))


def nothing(_: Key) -> float | None:
    return None


def test_the_margin_is_the_budget_less_the_time_to_let_go() -> None:
    ledger = Ledger(budget=2.0)
    before, after = view("a", 1, 2), view("a", 2)
    assert ledger.settle({"a": (None, before)}, 0.0, nothing) == []
    [drain] = ledger.settle({"a": (before, after)}, 100.3, lambda _: 100.0)
    assert (drain.task, drain.margin) == ("t1", pytest.approx(1.7))
    assert ledger.endpoints == 1


def test_a_late_one_is_negative() -> None:
    ledger = Ledger(budget=2.0)
    ledger.settle({"a": (None, view("a", 1))}, 0.0, nothing)
    [drain] = ledger.settle({"a": (view("a", 1), None)}, 103.0, lambda _: 100.0)
    assert drain.margin == pytest.approx(-1.0)


def test_an_endpoint_is_let_go_only_when_no_host_uses_it() -> None:
    ledger = Ledger()
    ledger.settle({"a": (None, view("a", 1)), "b": (None, view("b", 1))}, 0.0, nothing)
    assert ledger.settle({"a": (view("a", 1), None)}, 1.0, lambda _: 0.0) == []
    assert len(ledger.settle({"b": (view("b", 1), None)}, 1.0, lambda _: 0.0)) == 1


def test_the_time_is_remembered_when_the_endpoint_leaves_the_plan_first() -> None:
    ledger = Ledger(budget=2.0)
    ledger.settle({"a": (None, view("a", 1))}, 0.0, nothing)
    ledger.note(Key("127.0.0.1", 1, "t1"), 50.0)
    [drain] = ledger.settle({"a": (view("a", 1), None)}, 51.0, nothing)
    assert drain.margin == pytest.approx(1.0)


def test_one_that_went_without_notice_is_no_drain() -> None:
    ledger = Ledger()
    ledger.settle({"a": (None, view("a", 1))}, 0.0, nothing)
    assert ledger.settle({"a": (view("a", 1), None)}, 1.0, nothing) == []


@pytest.mark.parametrize(("budget", "margin"), [(2.0, 0.7), (3.0, 0.7), (0.5, 0.2)])
def test_at_a_port_of_a_node_there_is_less_time(budget: float, margin: float) -> None:
    ledger = Ledger(budget=budget)
    ledger.settle({"a": (None, on_nodes("a", 1))}, 0.0, nothing)
    [drain] = ledger.settle({"a": (on_nodes("a", 1), None)}, 100.3, lambda _: 100.0)
    assert drain.margin == pytest.approx(margin)


class CountedAddress(str):
    """Says how often it was looked up."""

    __slots__ = ()
    asked = 0

    def __hash__(self) -> int:
        CountedAddress.asked += 1
        return str.__hash__(self)


def test_it_costs_what_changed_however_many_are_in_use() -> None:
    def costs(many: int) -> int:
        ledger = Ledger()
        there = view("a", *range(1, many))
        counted = tuple(structs.replace(e, address=CountedAddress(e.address)) for e in there.upstreams[0].endpoints)
        there = structs.replace(there, upstreams=(structs.replace(there.upstreams[0], endpoints=counted),))
        ledger.settle({"a": (None, there)}, 0.0, nothing)
        CountedAddress.asked = 0
        ledger.settle({"b": (None, view("b", 1))}, 0.0, nothing)
        ledger.settle({"b": (view("b", 1), view("b", 2))}, 1.0, nothing)
        return CountedAddress.asked

    assert costs(2) == costs(500)
