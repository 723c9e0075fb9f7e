"""A clock that never jumps, and the jumps of the one beside it."""

from __future__ import annotations

import pytest

from interlock.sync.steady import CONFIRM, LEAST, SteadyClock

WALL, STEADY = 1_000_000.0, 50.0


@pytest.mark.parametrize("jump", [3600.0, -3600.0, LEAST * 1.01, -LEAST * 1.01])
def test_a_jump_counts_when_a_second_look_finds_the_same(jump: float) -> None:
    clock = SteadyClock(WALL, STEADY)
    assert clock.look(WALL + 1 + jump, STEADY + 1) is None
    assert clock.offset == 0.0
    assert clock.look(WALL + 1 + jump + CONFIRM / 2, STEADY + 1 + CONFIRM / 2) is None, "too soon for a second look"
    assert clock.look(WALL + 1 + jump + CONFIRM, STEADY + 1 + CONFIRM) == pytest.approx(jump)
    assert clock.offset == pytest.approx(jump)
    assert clock.look(WALL + 9 + jump, STEADY + 9) is None, "told once"
    assert clock.now(STEADY + 9) == WALL + 9, "and our own time goes on evenly"


def test_a_clock_that_comes_back_at_once_has_not_jumped() -> None:
    clock = SteadyClock(WALL, STEADY)
    assert clock.look(WALL + 900, STEADY) is None
    assert clock.look(WALL + 1, STEADY + 1) is None
    assert clock.look(WALL + 900, STEADY + 2) is None
    assert clock.offset == 0.0


def test_two_looks_that_differ_confirm_nothing() -> None:
    clock = SteadyClock(WALL, STEADY)
    for second in range(1, 9):
        assert clock.look(WALL + 100 * second, STEADY + second) is None
    assert clock.offset == 0.0


def test_a_clock_that_is_merely_steered_has_not_jumped() -> None:
    clock = SteadyClock(WALL, STEADY)
    assert all(clock.look(WALL + second * 1.0001, STEADY + second) is None for second in range(4000))
