"""From what Docker's DNS answers to who is denied: pure, and the only place that decides it.

A *round* asks, at about the same time, for each service the addresses of its tasks, for each network who we are
ourselves (the control: only where that is answered does silence about others mean anything), and for every address that
was not confirmed, or is denied, whose it is. The rules, the first that fits:

1. The address is said to be another's: denied at once, even the last. (Another task of the same service is no other.)
2. It is said to be the endpoint's own, or its service's name gives it: confirmed.
3. The control failed, or the round ended too early, or the answer was cut short: unknown; nothing changes.
4. The service's name is answered without it, while another endpoint of it is confirmed: denied, if DNS has known it.
5. Neither the service's name nor the address is known, or what is new is not: denied in the second such round in a row.

So a DNS that is dead, or an engine that starts again, denies nothing. What is denied stays so until it is confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

import msgspec

from interlock.model.routing import VIP, Endpoint
from interlock_extension.admission import Key, key_of
from interlock_extension.confirm.question import Answer, Question, askable, backward, forward, owner

Answers = Mapping[Question, Answer]
"""A question that is missing was not asked, or not for long enough to say anything."""

_ROUNDS = 2


class Subjects(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask about, and who is denied at present; `unknown`: who of them was merely not known to DNS."""

    endpoints: tuple[Endpoint, ...] = ()
    denied: frozenset[Key] = frozenset()
    unknown: frozenset[Key] = frozenset()


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change: endpoints to deny, with the reason for people, and denied ones to allow again.

    `unknown`: those of `deny` that DNS only does not know; of the others it says whose their address is.
    """

    deny: dict[Key, str] = {}
    unknown: frozenset[Key] = frozenset()
    allow: frozenset[Key] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.deny or self.allow)


def first_questions(subjects: Subjects, own: Mapping[str, str]) -> tuple[Question, ...]:
    """The controls, whose own addresses are in `own` by network; then each service's name once."""
    controls = (backward(address) for address in own.values())
    names = (forward(endpoint) for endpoint in subjects.endpoints if askable(endpoint))
    return tuple(dict.fromkeys((*controls, *names)))


def second_questions(subjects: Subjects, answers: Answers, turn: Set[Key] = frozenset()) -> tuple[Question, ...]:
    """Whose the addresses are that were not confirmed, or are denied; and of those whose turn it is.

    A turn finds what a name cannot: another service that has this one's name for an alias, and now its address.
    """
    asked = (
        backward(endpoint.address)
        for endpoint in subjects.endpoints
        if askable(endpoint)
        and ((key := key_of(endpoint)) in subjects.denied or key in turn or not _given(endpoint, answers))
    )
    return tuple(dict.fromkeys(asked))


class Judge:
    """Remembers of earlier rounds who was confirmed, and in how many an endpoint was unknown to DNS."""

    def __init__(self) -> None:
        self._absent: dict[Key, int] = {}
        self._seen: set[Key] = set()

    def rule(
        self, subjects: Subjects, answers: Answers, own: Mapping[str, str], *, known_before: bool = False
    ) -> Ruling:
        """The round's verdict. `known_before`: none of them is new, so that DNS must have heard of them by now."""
        attached = {net for net, address in own.items() if owner(answers.get(backward(address)), net)}
        living = {forward(e) for e in subjects.endpoints if askable(e) and _confirmed(e, answers)}
        deny: dict[Key, str] = {}
        allow: set[Key] = set()
        before, self._absent = self._absent, {}
        seen = self._seen & {key_of(endpoint) for endpoint in subjects.endpoints}
        unknown: set[Key] = set()
        for endpoint in filter(askable, subjects.endpoints):
            key = key_of(endpoint)
            other = _other(endpoint, answers)
            if other:
                deny[key] = f"the address is {other}'s now"
            elif _confirmed(endpoint, answers):
                allow.add(key)
                seen.add(key)
            elif endpoint.network in attached and _known_not(endpoint, answers):
                self._absent[key] = before.get(key, 0) + 1
                name = forward(endpoint)
                old = known_before or key in seen
                if answers[name].said and name in living and old:
                    unknown.add(key)
                    deny[key] = f"{name.name} does not give it"
                elif self._absent[key] >= _ROUNDS:
                    unknown.add(key)
                    deny[key] = f"{name.name} {'does not give it' if answers[name].said else 'is not known'}"
        self._seen = seen
        # What was merely unknown may turn out to be another's.
        known = subjects.denied - (subjects.unknown - unknown)
        return Ruling(
            deny={key: why for key, why in deny.items() if key not in known},
            unknown=frozenset(unknown - known),
            allow=frozenset(allow & subjects.denied),
        )


def networks(endpoints: Iterable[Endpoint]) -> Iterator[Endpoint]:
    """One endpoint of each network: on the way to it lies our own address there."""
    return iter({e.network: e for e in endpoints if askable(e)}.values())


def _given(endpoint: Endpoint, answers: Answers) -> bool:
    answer = answers.get(forward(endpoint))
    return answer is not None and endpoint.address in answer.values


def _confirmed(endpoint: Endpoint, answers: Answers) -> bool:
    if _other(endpoint, answers):
        return False
    return _given(endpoint, answers) or owner(answers.get(backward(endpoint.address)), endpoint.network) is not None


def _other(endpoint: Endpoint, answers: Answers) -> str:
    """Who has the address, where that is not the endpoint's own service."""
    found = owner(answers.get(backward(endpoint.address)), endpoint.network)
    if found is None or found.service == endpoint.service or found.task == endpoint.task != VIP:
        return ""
    return found.service


def _known_not(endpoint: Endpoint, answers: Answers) -> bool:
    """Whether both questions were put for long enough, and neither answer leaves it open."""
    name, address = answers.get(forward(endpoint)), answers.get(backward(endpoint.address))
    return name is not None and address is not None and name.whole
