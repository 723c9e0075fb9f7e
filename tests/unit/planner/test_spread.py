"""From Docker's word to all proxies: who is waited for, when a change counts, and how often."""

from __future__ import annotations

import pytest

from interlock.model.outcome import Outcome, Result
from interlock.model.version import Version
from interlock.wire.trail import Cause, CauseKind, Trail
from interlock_planner.spread import ASK_AGAIN, PATIENCE, Spread


def version(seq: int, generation: str = "g") -> Version:
    return Version(generation=generation, seq=seq, nonce=f"{generation}{seq}")


def trail(at: float, kind: CauseKind = "event", *more: Cause) -> Trail:
    return Trail(causes=(Cause(id=f"c{at}", kind=kind, at=at), *more))


def says(
    proxy: str, seq: int | None, at: float, result: Result = "updated", generation: str = "g", said: float | None = None
) -> Outcome:
    """In effect at `at`."""
    running = None if seq is None else version(seq, generation)
    return Outcome(
        proxy=proxy, extension="nginx", version=running, result=result, effective_at=at, at=at if said is None else said
    )


def begun(*proxies: str) -> Spread:
    """They run version 1."""
    made = Spread()
    assert made.heard((), [says(proxy, 1, 0.0) for proxy in proxies], 0.0) == []
    return made


def test_a_change_counts_when_the_last_proxy_has_it() -> None:
    spread = begun("a", "b")
    spread.published(version(2), trail(10.0), 10.1)
    a, b = says("a", 2, 10.2), says("b", 2, 10.75)
    assert spread.heard([a], [a, says("b", 1, 0.0)], 10.3) == []
    assert spread.waits
    assert spread.heard([b], [a, b], 10.8) == [0.75]
    assert not spread.waits
    assert spread.heard([b], [a, b], 10.9) == []


def test_of_several_between_two_looks_each_has_its_own_time() -> None:
    spread = begun("a")
    for seq in (2, 3):
        spread.published(version(seq), trail(10.0 * seq), 10.0 * seq)
    news = [says("a", 2, 20.5), says("a", 3, 30.25)]
    assert spread.heard(news, news[-1:], 31.0) == [0.5, 0.25]


def test_what_is_skipped_counts_at_the_version_that_includes_it() -> None:
    spread = begun("a")
    for seq in (2, 3):
        spread.published(version(seq), trail(10.0 * seq), 10.0 * seq)
    assert spread.heard((), [says("a", 3, 31.0)], 31.0) == [11.0, 1.0]


def test_a_new_generation_includes_all_that_was_before() -> None:
    spread = begun("a")
    spread.published(version(2), trail(20.0), 20.0)
    spread.published(version(1, "h"), trail(30.0), 30.0)
    assert spread.heard((), [says("a", 9, 31.0)], 31.0) == []
    assert spread.heard((), [says("a", 1, 31.5, generation="h")], 32.0) == [11.5, 1.5]


def test_a_proxy_that_is_gone_holds_nothing_up_and_one_that_comes_is_not_waited_for() -> None:
    spread = begun("a", "b")
    spread.published(version(2), trail(10.0), 10.0)
    a = says("a", 2, 10.5)
    assert spread.heard([a], [a, says("b", 1, 0.0), says("c", None, 0.0, "starting")], 11.0) == []
    assert spread.heard((), [a, says("c", None, 0.0, "starting")], 16.5) == [0.5]


def test_without_a_proxy_nobody_is_late() -> None:
    spread = begun()
    spread.published(version(2), trail(10.0), 10.0)
    assert not spread.waits
    spread = begun("a")
    spread.published(version(2), trail(10.0), 10.0)
    assert spread.heard((), (), 20.0) == []
    assert not spread.waits


def test_before_it_has_heard_of_any_it_waits_for_those_that_it_then_finds() -> None:
    spread = Spread()
    spread.published(version(2), trail(10.0), 10.0)
    assert spread.heard((), [says("a", 1, 0.0), says("b", 2, 10.5)], 11.0) == []
    assert spread.heard([says("a", 2, 11.5)], [says("a", 2, 11.5), says("b", 2, 10.5)], 12.0) == [1.5]


def test_where_nothing_had_to_be_done_it_is_in_effect_when_it_is_known() -> None:
    spread = begun("a")
    spread.published(version(2), trail(10.0), 10.0)
    assert spread.heard(
        [says("a", 2, 3.0, "unchanged", said=10.25)], [says("a", 2, 3.0, "unchanged", said=10.25)], 11.0
    ) == [0.25]


@pytest.mark.parametrize("kind", ["lease", "resync", "refusal"])
def test_what_docker_did_not_say_is_not_counted(kind: CauseKind) -> None:
    spread = begun("a")
    spread.published(version(2), trail(10.0, kind), 10.0)
    assert not spread.waits
    spread.published(version(3), trail(10.0, kind, Cause(id="x", kind="settle", at=10.5)), 10.0)
    assert spread.heard((), [says("a", 3, 11.0)], 11.0) == [0.5]


def test_a_clock_that_is_behind_gives_none_and_not_less() -> None:
    spread = begun("a")
    spread.published(version(2), trail(10.0), 10.0)
    assert spread.heard((), [says("a", 2, 9.0)], 11.0) == [0.0]


def test_who_says_nothing_is_asked_for_again() -> None:
    spread = begun("a")
    assert not spread.due(100.0)
    spread.published(version(2), trail(10.0), 10.0)
    assert not spread.due(10.0 + PATIENCE)
    assert spread.due(10.5 + PATIENCE)
    spread.heard((), [says("a", 1, 0.0)], 10.5 + PATIENCE)
    assert not spread.due(10.5 + PATIENCE + ASK_AGAIN)
    assert spread.due(11.0 + PATIENCE + ASK_AGAIN)
