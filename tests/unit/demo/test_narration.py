"""What happened, in words."""

from __future__ import annotations

import pytest

from interlock.inspection.view import RouteView
from interlock.model.outcome import Outcome
from interlock.model.routing import Endpoint
from interlock_demo.narration import Counted, Split, Tally, applied, changed, effective, median, split, tallies

HOPS = {
    "docker": 100.0,
    "seen": 100.041,
    "published": 100.042,
    "received": 100.043,
    "planned": 100.044,
    "applying": 100.044,
    "effective": 100.143,
}
COUNTED = Counted(requests=1240, failed=0)


def _split(total: float) -> Split:
    return Split(docker=0.0, bus=0.0, plan=0.0, wait=0.0, proxy=total)


def _outcome(result: str, hops: dict[str, float]) -> Outcome:
    return Outcome(proxy="p", extension="nginx", result=result, hops=hops)  # type: ignore[arg-type]  # a parameter


def _route(*endpoints: Endpoint, services: tuple[str, ...] = ("shop",)) -> RouteView:
    return RouteView(
        region="r", cluster="", host="h", path="/", rewrite=False, upstream="u", services=services, endpoints=endpoints
    )


def _endpoint(task: str, draining: float | None = None) -> Endpoint:
    return Endpoint(address="127.0.0.1", port=80, task=task, service_id="id", service="shop", draining_since=draining)


def test_one_step_reads_as_promised() -> None:
    found = split(HOPS)
    assert found is not None
    assert found.total == pytest.approx(143)
    assert effective("shop", [found], COUNTED) == (
        "shop: effective in 143 ms (Docker 41, bus 2, plan 1, nginx 99) · 0 of 1,240 requests failed"
    )


def test_waiting_for_a_task_to_listen_is_no_transport() -> None:
    found = split({**HOPS, "applying": 100.244, "effective": 100.343})
    assert found is not None
    assert str(found) == "Docker 41, bus 2, plan 1, wait 200, nginx 99"
    assert found.total == pytest.approx(343)


def test_hops_out_of_order_are_never_negative() -> None:
    found = split({**HOPS, "seen": 99.0})
    assert found is not None
    assert found.docker == 0


@pytest.mark.parametrize("missing", list(HOPS))
def test_a_trail_with_a_gap_has_no_split(missing: str) -> None:
    assert split({name: at for name, at in HOPS.items() if name != missing}) is None


def test_only_what_changed_a_proxy_counts() -> None:
    outcomes = [
        _outcome("unchanged", HOPS),
        _outcome("reloaded", HOPS),
        _outcome("reloaded", {}),
        _outcome("updated", HOPS),
    ]
    assert len(applied(outcomes)) == 2


def test_several_steps_are_summed_up() -> None:
    said = effective("blog rolled", [_split(92), _split(143), _split(99)], Counted(requests=10, failed=1))
    assert said == (
        "blog rolled: 3 steps, each effective in 92 to 143 ms (at the median Docker 0, bus 0, plan 0, nginx 99)"
        " · 1 of 10 requests failed"
    )
    assert effective("shop", [], COUNTED) == "shop: effective · 0 of 1,240 requests failed"


def test_the_median_is_one_that_happened() -> None:
    assert median([_split(3), _split(1)]).total == 3
    assert median([_split(3), _split(1), _split(2)]).total == 2


def test_requests_since() -> None:
    assert COUNTED.since(Counted(requests=1200, failed=0)) == Counted(requests=40, failed=0)


def test_tallies_of_routes() -> None:
    routes = [_route(_endpoint("a"), _endpoint("b", 1.0)), _route(_endpoint("a")), _route(services=("empty",))]
    assert tallies(routes) == {
        "shop": Tally(serving=frozenset("a"), draining=frozenset("b")),
        "empty": Tally(),
    }


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (("ab", ""), ("abcd", ""), "2 → 4 endpoints"),
        (("ab", ""), ("a", "b"), "2 → 1 endpoints, 1 draining"),
        (("ab", ""), ("bc", "a"), "1 of 2 endpoints replaced, 1 draining"),
        (("b", "a"), ("b", ""), "drained"),
        (("b", "ac"), ("b", "c"), "1 still draining"),
        (("ab", "c"), ("a", ""), "2 → 1 endpoints"),
    ],
)
def test_what_became_of_a_service(before: tuple[str, str], after: tuple[str, str], said: str) -> None:
    old, new = (Tally(serving=frozenset(s), draining=frozenset(d)) for s, d in (before, after))
    assert changed({"shop": old, "blog": old}, {"shop": new, "blog": old}) == {"shop": said}


def test_a_service_that_comes_or_goes() -> None:
    tally = Tally(serving=frozenset("ab"))
    assert changed({}, {"shop": tally}) == {"shop": "0 → 2 endpoints"}
    assert changed({"shop": tally}, {}) == {"shop": "2 → 0 endpoints"}
