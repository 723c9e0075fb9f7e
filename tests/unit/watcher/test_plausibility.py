"""What a listing lacks: believed at once, or held back until a second reading lacks the same."""

from __future__ import annotations

import pytest

from interlock_watcher.plausibility import AGAIN, Doubts, Loss

AT = 100.0


def missing(*ids: str, of: int) -> Loss:
    return Loss(missing=frozenset(ids), known=of)


@pytest.mark.parametrize(
    ("loss", "plausible"),
    [
        (Loss(), True),
        (missing("a", "b", of=2), True),
        (missing("a", "b", "c", of=6), True),
        (missing("a", "b", "c", of=5), False),
        (Loss(taskless=frozenset("abc"), silenced=3, served=6), True),
        (Loss(taskless=frozenset("abc"), silenced=3, served=5), False),
        (Loss(missing=frozenset("ab"), known=4, taskless=frozenset("cd"), silenced=4, served=4), False),
        (Loss(strange=True), False),
    ],
)
def test_three_and_more_than_half_at_once_are_implausible(loss: Loss, plausible: bool) -> None:
    assert (loss.why == "") is plausible
    verdict = Doubts().judge(loss, began=AT, ended=AT + 1)
    assert verdict.held == (frozenset() if plausible else loss.missing | loss.taskless)
    assert verdict.whole is loss.strange


def test_a_second_reading_that_began_later_confirms() -> None:
    doubts = Doubts()
    assert doubts.judge(missing("a", "b", "c", of=4), began=AT, ended=AT + 1).news == "raised"
    assert (doubts.since, doubts.again_at) == (AT + 1, AT + 1 + AGAIN)
    assert "3 of 4 services are missing" in doubts.reason
    soon = doubts.judge(missing("a", "b", "c", of=4), began=AT + 1, ended=AT + 2)
    assert soon.held == set("abc"), "one that began at once is no second opinion"
    assert soon.news == ""
    later = doubts.judge(missing("a", "b", "c", of=4), began=AT + 1 + AGAIN, ended=AT + 3)
    assert (later.held, later.news) == (frozenset(), "confirmed")
    assert (doubts.since, doubts.reason, doubts.again_at) == (None, "", None)


def test_a_second_reading_that_lacks_them_no_more_refutes() -> None:
    doubts = Doubts()
    doubts.judge(missing("a", "b", "c", of=4), began=AT, ended=AT)
    assert doubts.judge(missing(of=4), began=AT + 9, ended=AT + 9).news == "refuted"
    assert doubts.since is None
    again = doubts.judge(missing("a", "b", "c", of=4), began=AT + 20, ended=AT + 20)
    assert again.held == set("abc"), "what was refuted counts no more"


def test_only_what_both_readings_lack_is_confirmed() -> None:
    doubts = Doubts()
    doubts.judge(missing("a", "b", "c", of=5), began=AT, ended=AT)
    second = doubts.judge(missing("b", "c", "d", "e", of=5), began=AT + 1, ended=AT + 2)
    assert second.held == {"d", "e"}
    assert doubts.since == AT, "something is held back all the time"
    assert doubts.again_at == AT + 2 + AGAIN


def test_another_swarm_is_confirmed_like_any_loss() -> None:
    doubts = Doubts()
    strange = Loss(missing=frozenset("a"), known=1, strange=True)
    assert doubts.judge(strange, began=AT, ended=AT).whole
    verdict = doubts.judge(strange, began=AT + AGAIN, ended=AT + 1)
    assert (verdict.whole, verdict.held, verdict.news) == (False, frozenset(), "confirmed")
