"""How long a change waits for the first probe of its new endpoints."""

from __future__ import annotations

from interlock_extension.admission import Key
from interlock_extension.patience import Patience

A, B = Key("10.0.0.1", 80, "a"), Key("10.0.0.2", 80, "b")


def test_a_change_waits_for_the_first_word_about_its_endpoints() -> None:
    patience = Patience()
    assert patience.until == 0.0
    assert patience.hand_over({A, B}, 5.0, 1.0) == {A, B}
    assert patience.until == 6.0
    patience.tried(A, accepted=False)
    assert patience.until == 6.0
    patience.tried(B, accepted=True)
    assert patience.until == 0.0


def test_nobody_waits_for_what_the_prober_has_tried_before() -> None:
    """It says the first result of a key once: a second snapshot that waited for it would wait in vain."""
    patience = Patience()
    patience.hand_over({A}, 5.0, 1.0)
    patience.tried(A, accepted=False)
    assert patience.hand_over({A}, 7.0, 1.0) == frozenset()
    assert patience.until == 0.0
    patience.forget({A})
    assert patience.hand_over({A}, 9.0, 1.0) == {A}


def test_what_must_be_let_go_ends_the_wait() -> None:
    patience = Patience()
    patience.hand_over({A}, 5.0, 1.0)
    patience.hurry(5.2, 0.01)
    assert patience.until == 5.21
    # Nor does what comes after it prolong the wait.
    assert patience.hand_over({B}, 5.205, 1.0) == {B}
    assert patience.until == 5.21


def test_what_is_gone_is_not_waited_for() -> None:
    patience = Patience()
    patience.hand_over({A}, 5.0, 1.0)
    patience.forget({A})
    assert patience.until == 0.0
