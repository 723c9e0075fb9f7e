"""Who is denied, from what DNS answers: each rule alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.model.routing import Endpoint
from interlock_extension.admission import key_of
from interlock_extension.confirm.question import Answer, Owner, Question, backward, forward, owner
from interlock_extension.confirm.verdict import Judge, Ruling, Subjects, first_questions, second_questions

TASK = "iwuvsijp4jwt06w29fbbiexz"
SELF = "10.0.5.2"
OWN = {"web": SELF}
NOTHING = Answer()
CONTROL = {backward(SELF): Answer(said=True, values=frozenset({"gate.web."}))}


def endpoint(number: int, service: str = "shop", network: str = "web", task: str = "") -> Endpoint:
    return Endpoint(
        address=f"10.0.5.{number}",
        port=80,
        task=task or f"{TASK}{number % 10}",
        service_id=f"id-{service}",
        service=service,
        network=network,
    )


def said(*values: str, whole: bool = True) -> Answer:
    return Answer(said=True, values=frozenset(values), whole=whole)


def of_task(one: Endpoint, service: str = "", slot: str = "1") -> Answer:
    return said(f"{service or one.service}.{slot}.{one.task}.{one.network}.")


FIRST, SECOND = endpoint(7), endpoint(8)
NAME = forward(FIRST)
THEIRS = said(f"other.2.{TASK}x.web.")


def rule(
    answers: dict[Question, Answer],
    *,
    judge: Judge | None = None,
    endpoints: tuple[Endpoint, ...] = (FIRST, SECOND),
    denied: tuple[Endpoint, ...] = (),
) -> Ruling:
    subjects = Subjects(endpoints=endpoints, denied=frozenset(map(key_of, denied)))
    return (judge or Judge()).rule(subjects, answers, OWN)


def test_what_is_asked() -> None:
    vip, elsewhere = endpoint(4, task="vip"), endpoint(9, network="")
    six = Endpoint(address="fd00::1", port=80, task="t", service_id="s", service="six", network="web")
    subjects = Subjects(endpoints=(FIRST, SECOND, vip, elsewhere, six))
    assert first_questions(subjects, OWN) == (
        Question("PTR", SELF),
        Question("A", "tasks.shop.web."),
        Question("A", "shop.web."),
    )
    assert second_questions(subjects, {NAME: said("10.0.5.7"), forward(vip): said("10.0.5.4")}) == (
        Question("PTR", "10.0.5.8"),
    )


def test_what_is_denied_and_whose_turn_it_is_is_always_asked_backward() -> None:
    subjects = Subjects(endpoints=(FIRST, SECOND), denied=frozenset({key_of(FIRST)}))
    answers = {NAME: said("10.0.5.7", "10.0.5.8")}
    assert second_questions(subjects, answers) == (Question("PTR", "10.0.5.7"),)
    assert len(second_questions(subjects, answers, {key_of(SECOND)})) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop.2.iwuvsijp4jwt06w29fbbiexzi.web.", Owner("shop", "iwuvsijp4jwt06w29fbbiexzi")),
        ("gate.web.", Owner("gate", "gate")),
        ("a.b.c.web.", Owner("a.b.c", "a.b.c")),
        ("host.corp.example.", None),
        ("shop.2.iwuvsijp4jwt06w29fbbiexzi.back.", None),
        (".web.", None),
        ("web.", None),
    ],
)
def test_whom_docker_names(name: str, expected: Owner | None) -> None:
    assert owner(said(name), "web") == expected


def test_an_address_that_is_anothers_is_denied_at_once_even_the_last() -> None:
    found = rule({backward(FIRST.address): THEIRS}, endpoints=(FIRST,))
    assert found.deny == {key_of(FIRST): "the address is other's now"}


VIRTUAL = endpoint(4, task="vip")
"""Nobody's by its address, and in no `tasks.…`; while a task is behind it, the service's name gives it."""


def test_a_virtual_ip_is_confirmed_by_the_name_of_its_service() -> None:
    answers = {**CONTROL, forward(VIRTUAL): said(VIRTUAL.address), backward(VIRTUAL.address): NOTHING}
    judge = Judge()
    assert not any(rule(answers, judge=judge, endpoints=(VIRTUAL,)) for _ in range(3))
    assert rule(answers, judge=judge, endpoints=(VIRTUAL,), denied=(VIRTUAL,)).allow == {key_of(VIRTUAL)}
    # Tasks of the same service beside it neither speak for it nor against it.
    tasks = {NAME: said(FIRST.address), backward(FIRST.address): of_task(FIRST)}
    assert not any(rule({**answers, **tasks}, judge=judge, endpoints=(VIRTUAL, FIRST)) for _ in range(3))


@pytest.mark.parametrize("name", [NOTHING, said("10.0.5.5")])
def test_a_virtual_ip_that_dns_does_not_give_is_denied_in_the_second_round(name: Answer) -> None:
    judge = Judge()
    answers = {**CONTROL, forward(VIRTUAL): name, backward(VIRTUAL.address): NOTHING}
    assert not rule(answers, judge=judge, endpoints=(VIRTUAL,))
    assert set(rule(answers, judge=judge, endpoints=(VIRTUAL,)).deny) == {key_of(VIRTUAL)}


def test_a_virtual_ip_that_is_a_task_of_another_by_now_is_denied_at_once() -> None:
    assert set(rule({backward(VIRTUAL.address): THEIRS}, endpoints=(VIRTUAL,)).deny) == {key_of(VIRTUAL)}


def test_an_address_on_no_network_is_neither_asked_about_nor_denied() -> None:
    on_node = endpoint(9, network="")
    judge = Judge()
    answers = {**CONTROL, backward(on_node.address): THEIRS, forward(on_node): said("10.0.5.5")}
    assert second_questions(Subjects(endpoints=(on_node,)), {}) == ()
    assert not any(rule(answers, judge=judge, endpoints=(on_node,)) for _ in range(3))


def test_an_alias_of_another_service_does_not_confirm() -> None:
    # Another service may have this one's name for an alias, so that the name gives its tasks too.
    found = rule({**CONTROL, NAME: said(FIRST.address, SECOND.address), backward(FIRST.address): THEIRS})
    assert set(found.deny) == {key_of(FIRST)}


def test_another_task_of_the_same_service_is_no_other() -> None:
    replaced = said(f"shop.1.{TASK}z.web.")
    assert not rule({**CONTROL, NAME: NOTHING, backward(FIRST.address): replaced}, endpoints=(FIRST,))


def test_an_address_that_a_name_leaves_out_is_denied_while_another_is_confirmed() -> None:
    judge = Judge()
    assert not rule({**CONTROL, NAME: said(FIRST.address, SECOND.address)}, judge=judge)
    answers = {**CONTROL, NAME: said(SECOND.address), backward(FIRST.address): NOTHING}
    assert rule(answers, judge=judge).deny == {key_of(FIRST): "tasks.shop.web. does not give it"}
    with_owner = {**answers, backward(FIRST.address): of_task(FIRST)}
    assert not rule(with_owner, judge=judge)


def test_a_new_task_that_dns_has_not_heard_of_yet_has_a_round_more() -> None:
    """The plan and the prober can be ahead of the gossip between nodes."""
    judge = Judge()
    answers = {**CONTROL, NAME: said(SECOND.address), backward(FIRST.address): NOTHING}
    assert not rule(answers, judge=judge)
    assert set(rule(answers, judge=judge).deny) == {key_of(FIRST)}


def test_what_was_last_good_is_not_new() -> None:
    answers = {**CONTROL, NAME: said(SECOND.address), backward(FIRST.address): NOTHING}
    subjects = Subjects(endpoints=(FIRST, SECOND))
    assert set(Judge().rule(subjects, answers, OWN, known_before=True).deny) == {key_of(FIRST)}


@pytest.mark.parametrize("name", [NOTHING, said("10.0.5.99")])
def test_the_last_is_denied_in_the_second_round(name: Answer) -> None:
    judge = Judge()
    answers = {**CONTROL, NAME: name, backward(FIRST.address): NOTHING}
    assert not rule(answers, judge=judge, endpoints=(FIRST,))
    assert set(rule(answers, judge=judge, endpoints=(FIRST,)).deny) == {key_of(FIRST)}


def test_a_round_that_says_nothing_begins_the_count_anew() -> None:
    judge = Judge()
    absent = {**CONTROL, NAME: NOTHING, backward(FIRST.address): NOTHING}
    dead = dict.fromkeys(absent, NOTHING)
    assert not any(rule(answers, judge=judge, endpoints=(FIRST,)) for answers in (absent, dead, absent))


@pytest.mark.parametrize(
    "answers",
    [
        {},
        dict.fromkeys((*CONTROL, NAME, backward(FIRST.address), backward(SECOND.address)), NOTHING),
        # Not attached to the network: Docker knows nothing of it, and an outer server may say anything.
        {NAME: said("192.0.2.1"), backward(FIRST.address): NOTHING, backward(SECOND.address): NOTHING},
        {backward(SELF): said("host.corp.example."), NAME: said(SECOND.address), backward(FIRST.address): NOTHING},
        # Cut short, or the round ended before the other question had its time.
        {**CONTROL, NAME: said(SECOND.address, whole=False), backward(FIRST.address): NOTHING},
        {**CONTROL, NAME: said(SECOND.address)},
        {**CONTROL, backward(FIRST.address): NOTHING, backward(SECOND.address): NOTHING},
    ],
)
def test_what_is_unknown_denies_nothing_however_often(answers: dict[Question, Answer]) -> None:
    judge = Judge()
    assert not any(rule(answers, judge=judge) for _ in range(5))


def test_what_is_denied_stays_so_until_it_is_confirmed() -> None:
    for answers in ({}, {**CONTROL, NAME: NOTHING, backward(FIRST.address): NOTHING}):
        assert not rule(answers, denied=(FIRST,)).allow
    assert not rule({NAME: said(FIRST.address), backward(FIRST.address): THEIRS}, denied=(FIRST,)).allow
    assert rule({NAME: said(FIRST.address)}, denied=(FIRST,)).allow == {key_of(FIRST)}
    assert rule({backward(FIRST.address): of_task(FIRST)}, denied=(FIRST,)).allow == {key_of(FIRST)}


def test_a_virtual_ip_is_confirmed_by_its_services_name() -> None:
    vip = endpoint(4, task="vip")
    judge = Judge()
    assert not rule({**CONTROL, forward(vip): said("10.0.5.4")}, judge=judge, endpoints=(vip,))
    gone = {**CONTROL, forward(vip): NOTHING, backward(vip.address): NOTHING}
    assert [bool(rule(gone, judge=judge, endpoints=(vip,))) for _ in range(3)] == [False, True, True]


def test_one_network_says_nothing_of_another() -> None:
    back = endpoint(9, "api", "back")
    judge = Judge()
    answers = {**CONTROL, forward(back): NOTHING, backward(back.address): NOTHING}
    assert not any(rule(answers, judge=judge, endpoints=(back,)) for _ in range(3))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from((NAME, backward(FIRST.address), backward(SECOND.address), backward(SELF))),
            st.sampled_from((NOTHING, said(FIRST.address), said(SECOND.address), of_task(FIRST), of_task(SECOND))),
        ),
        max_size=6,
    )
)
def test_without_a_control_nothing_is_denied_but_to_another(rounds: list[dict[Question, Answer]]) -> None:
    judge = Judge()
    for answers in rounds:
        answers.pop(backward(SELF), None)
        assert not rule(answers, judge=judge).deny


def test_what_was_merely_unknown_may_turn_out_to_be_anothers() -> None:
    """It is told once more then: a plan that is fresh again vouches for the unknown, not for what is another's."""
    judge = Judge()
    absent = {**CONTROL, NAME: NOTHING, backward(FIRST.address): NOTHING}
    rule(absent, judge=judge, endpoints=(FIRST,))
    ruling = rule(absent, judge=judge, endpoints=(FIRST,))
    assert ruling.unknown == {key_of(FIRST)}
    key = key_of(FIRST)
    held = Subjects(endpoints=(FIRST,), denied=frozenset({key}), unknown=frozenset({key}))
    assert not judge.rule(held, absent, OWN)
    taken = {**CONTROL, NAME: NOTHING, backward(FIRST.address): of_task(endpoint(9, service="blog"))}
    ruling = judge.rule(held, taken, OWN)
    assert ruling.deny == {key: "the address is blog's now"}
    assert ruling.unknown == frozenset()
    assert not judge.rule(Subjects(endpoints=(FIRST,), denied=frozenset({key})), taken, OWN)
