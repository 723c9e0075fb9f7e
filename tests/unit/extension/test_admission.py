"""Which endpoints get requests."""

from __future__ import annotations

from msgspec import structs

from interlock.model.routing import Endpoint, Upstream
from interlock_extension.admission import choose, key_of


def endpoint(task: str, draining: float | None = None, address: str = "10.0.0.1") -> Endpoint:
    return Endpoint(address=address, port=80, task=task, service_id="s", service="s", draining_since=draining)


def chosen(endpoints: list[Endpoint], accepted: list[Endpoint]) -> list[str]:
    return [e.task for e in choose(Upstream(name="u", endpoints=tuple(endpoints)), {key_of(e) for e in accepted})]


def test_running_is_not_listening() -> None:
    a, b = endpoint("a"), endpoint("b")
    assert chosen([a, b], []) == []
    assert chosen([a, b], [b]) == ["b"]


def test_an_address_that_was_accepted_for_another_task_is_not_admitted() -> None:
    assert chosen([endpoint("new")], [endpoint("old")]) == []


def test_a_draining_endpoint_gets_nothing_when_another_accepts() -> None:
    old, new = endpoint("old", 100.0), endpoint("new")
    assert chosen([new, old], [old, new]) == ["new"]


def test_the_last_accepting_endpoint_is_kept_until_another_accepts() -> None:
    old, new = endpoint("old", 100.0), endpoint("new")
    assert chosen([new, old], [old]) == ["old"]


def test_of_several_draining_ones_those_that_began_last_are_kept() -> None:
    a, b, c = endpoint("a", 100.0), endpoint("b", 102.0), endpoint("c", 102.2)
    assert chosen([a, b, c], [a, b, c]) == ["b", "c"]
    assert chosen([a, b, c], [a]) == ["a"]


def test_a_virtual_ip_behind_which_all_tasks_drain_is_not_kept() -> None:
    leaving, wanted = endpoint("vip", 100.0), endpoint("vip", address="10.0.0.2")
    assert chosen([leaving], [leaving]) == []
    assert chosen([leaving, wanted], [leaving, wanted]) == ["vip"]
    # What drains beside it is.
    assert chosen([leaving, endpoint("old", 90.0)], [leaving, endpoint("old")]) == ["old"]


def test_the_virtual_ip_of_another_service_is_not_admitted() -> None:
    theirs = structs.replace(endpoint("vip"), service_id="other")
    assert chosen([endpoint("vip")], [theirs]) == []
    assert key_of(theirs).task == "other"


def heard(endpoints: list[Endpoint], silent: list[Endpoint]) -> list[str]:
    upstream = Upstream(name="u", endpoints=tuple(endpoints))
    accepted = {key_of(e) for e in endpoints}
    return [e.task for e in choose(upstream, accepted, silent={key_of(e) for e in silent})]


def test_a_silent_endpoint_gets_nothing_while_another_answers() -> None:
    a, b, old = endpoint("a"), endpoint("b"), endpoint("old", 100.0)
    assert heard([a, b], [a]) == ["b"]
    # Also where it is one that drains: an update onto a node that was lost.
    assert heard([a, old], [a]) == ["old"]
    assert heard([endpoint("x", 100.0), old], [old]) == ["x"]


def test_where_nobody_answers_all_are_kept() -> None:
    a, b, old = endpoint("a"), endpoint("b"), endpoint("old", 100.0)
    assert heard([a, b], [a, b]) == ["a", "b"]
    assert heard([a, old], [a, old]) == ["a"]
    assert heard([old], [old]) == ["old"]
