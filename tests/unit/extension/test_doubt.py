"""When addresses are confirmed."""

from __future__ import annotations

from interlock_extension.confirm.doubt import AFTERWARDS, Doubt, LastWord


def test_there_is_doubt_until_the_plan_has_been_fresh_for_a_while() -> None:
    doubt = Doubt()
    assert doubt.holds(1e9)
    doubt.see(stale=False, now=100.0)
    doubt.see(stale=False, now=105.0)
    assert doubt.holds(100.0 + AFTERWARDS - 0.1)
    assert not doubt.holds(100.0 + AFTERWARDS)
    doubt.see(stale=True, now=200.0)
    assert doubt.holds(1e9)
    doubt.see(stale=False, now=300.0)
    assert doubt.holds(314.0)
    assert not doubt.holds(316.0)


def test_a_watcher_is_silent_that_was_never_heard_or_says_nothing_new() -> None:
    assert LastWord(10.0).hear(None, 0.0, 0.0) > 10.0
    silence = LastWord(10.0)
    assert silence.hear(1000.0, 1001.0, 50.0) == 1.0
    assert silence.hear(1000.0, 1012.0, 61.0) == 12.0
    assert silence.hear(1013.0, 1013.0, 62.0) == 0.0


def test_clocks_that_differ_only_cost_until_the_next_word() -> None:
    silence = LastWord(10.0)
    assert silence.hear(900.0, 1000.0, 50.0) == 100.0
    assert silence.hear(901.0, 1001.0, 51.0) == 0.0
    # A watcher whose clock is ahead.
    assert LastWord(10.0).hear(2000.0, 1000.0, 50.0) == 0.0
