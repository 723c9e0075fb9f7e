"""Who is at fault for a refusal: exact where the proxy named the host's file, else a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest

from interlock.errors import ConfigRejected
from interlock.runtime.metrics import Metrics
from interlock_extension.blame import GUESS, Blame, Refusals, culprits
from interlock_extension.change import Drafting
from interlock_extension.desired import Desired
from interlock_extension.isolation import Isolation
from interlock_extension.meters import Meters
from interlock_extension.nginx.config import read_config
from interlock_extension.nginx.render import Facts, NginxRenderer
from interlock_extension.port import Control
from support.nginx_lab import virtual_host

FACTS = Facts(listen=("8080",), proxy_id="p", server_info="i", stub_status=True)
RENDERER = NginxRenderer(read_config({}), FACTS)
MAIN = ConfigRejected("nginx refused: x in nginx.conf:1", culprit="nginx.conf")


class Aside:
    """Refuses these files when they are checked alone; says that this or that file is to blame."""

    def __init__(self, *refused: str, culprit: str | None = None) -> None:
        self.refused, self.culprit = refused, culprit
        self.whole = False
        """Refuses also what holds none of them."""
        self.asked = 0

    def check(self, hosts: Mapping[str, bytes]) -> None:
        self.asked += 1
        if self.whole:
            raise ConfigRejected("an included file is refused")
        for name in map(file, hosts):
            if name in self.refused:
                raise ConfigRejected(f"{name} refused", culprit=self.culprit or name)


def blamed(hosts: tuple[str, ...], error: ConfigRejected, aside: Aside) -> dict[str, bool]:
    """Who is blamed for the refusal of a draft of these hosts, and whether exactly."""
    desired = Desired()
    desired.replace({host: virtual_host(host) for host in hosts}, {})
    drafting = Drafting(desired, RENDERER)
    draft = drafting.draft(hosts)
    found = culprits(drafting.suspects(draft), file, error, aside.check)
    assert all(drafting.refuse(draft, host, blame, 0.0) for host, blame in found.items())
    assert {host: refused.exact for host, refused in desired.refused.items()} == {h: b.exact for h, b in found.items()}
    # Drafted again, it is told from memory, and as exactly as before.
    drafting.draft(hosts)
    return {host: desired.refused[host].exact for host in found}


def file(host: str) -> str:
    return RENDERER.file_of(host)


def test_who_is_named_is_blamed_exactly() -> None:
    named = ConfigRejected("no", culprit=file("a"))
    assert blamed(("a", "b"), named, Aside()) == {"a": True}
    assert blamed(("a", "b"), MAIN, Aside(file("b"))) == {"b": True}
    assert blamed(("a",), MAIN, Aside(file("a"))) == {"a": True}


def test_who_is_not_named_is_blamed_by_a_guess() -> None:
    assert blamed(("a",), MAIN, Aside()) == {"a": False}
    assert blamed(("a", "b"), MAIN, Aside()) == {"a": False, "b": False}
    assert blamed(("a", "b"), MAIN, Aside(file("a"), file("b"), culprit="nginx.conf")) == {"a": False, "b": False}


def test_nobody_is_blamed_for_what_is_refused_without_any_of_them() -> None:
    aside = Aside()
    aside.whole = True
    assert blamed(("a", "b"), MAIN, aside) == {}
    # Who is named is at fault all the same.
    assert blamed(("a", "b"), ConfigRejected("no", culprit=file("a")), aside) == {"a": True}


MANY = {f"h{n}": b"x" for n in range(1000)}


def test_few_questions_find_whom_nginx_does_not_name() -> None:
    aside = Aside(file("h77"), file("h700"), culprit="nginx.conf")
    assert culprits(MANY, file, MAIN, aside.check).keys() == {"h77", "h700"}
    assert aside.asked < 50
    named = Aside(*map(file, ("h1", "h2", "h3")))
    found = culprits(MANY, file, MAIN, named.check)
    assert {host: blame.exact for host, blame in found.items()} == dict.fromkeys(("h1", "h2", "h3"), True)
    assert named.asked == 5


def test_without_time_for_all_questions_those_are_blamed_who_were_not_cleared() -> None:
    aside = Aside(file("h77"), culprit="nginx.conf")
    found = culprits(MANY, file, MAIN, aside.check, lambda: aside.asked < 4)
    assert "h77" in found
    assert len(found) < 600
    assert not any(blame.exact for blame in found.values())


def test_the_worker_gives_signs_of_life_while_it_asks_and_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the health check would have a large cluster's proxy killed."""
    desired = Desired()
    desired.replace({host: virtual_host(host) for host in MANY}, {})
    drafting = Drafting(desired, RENDERER)
    draft = drafting.draft(MANY)
    aside, signs = Aside(file("h77"), culprit="nginx.conf"), []
    isolation = Isolation(
        drafting, RENDERER, cast("Control", aside), Meters(Metrics("extension")), lambda: signs.append(aside.asked)
    )
    assert isolation.refused(draft, MAIN)
    assert desired.refused.keys() == {"h77"}
    # Before each question.
    assert set(signs) >= set(range(aside.asked))
    monkeypatch.setattr("interlock_extension.isolation.LONGEST", 0.0)
    asked = aside.asked
    isolation.refused(drafting.draft(MANY), MAIN)
    assert aside.asked == asked + 1


def test_a_guess_is_believed_for_a_while_and_longer_when_it_is_made_again() -> None:
    refusals = Refusals()
    guess, named = Blame(reason="?", exact=False), Blame(reason="!", exact=True)
    assert refusals.remember("a", b"1", guess, 0.0)
    assert not refusals.remember("a", b"1", guess, 1.0)
    assert refusals.remember("a", b"2", named, 1.0)
    assert refusals.expired(GUESS - 1) == set()
    assert refusals.expired(GUESS) == {"a"}
    assert refusals.expired(GUESS) == set()
    assert refusals.of("a", b"1") is None
    assert refusals.of("a", b"2") == named
    assert refusals.remember("a", b"1", guess, 100.0)
    assert refusals.expired(99.0 + 2 * GUESS) == set()
    assert refusals.expired(100.0 + 2 * GUESS) == {"a"}
    refusals.acquit("a")
    refusals.remember("a", b"1", guess, 0.0)
    assert refusals.expired(GUESS) == {"a"}


def test_a_host_that_is_held_back_by_a_guess_is_tried_again() -> None:
    desired = Desired()
    desired.replace({"a": virtual_host("a")}, {})
    drafting = Drafting(desired, RENDERER)
    draft = drafting.draft(("a",))
    drafting.refuse(draft, "a", Blame(reason="?", exact=False), 0.0)
    assert drafting.draft(("a",)).files != draft.files
    assert drafting.acquit(GUESS) == {"a"}
    assert drafting.draft(("a",)).files == draft.files
    assert desired.refused == {}


def test_what_was_refused_is_another_policy_than_the_one_that_is_wanted() -> None:
    desired = Desired()
    desired.replace({"a": virtual_host("a", "/new")}, {})
    desired.refuse("a", "held one", virtual_host("a", "/old"))
    assert not desired.refused["a"].exact
    desired.refuse("a", "this one", virtual_host("a", "/new"))
    desired.refuse("a", "held one", virtual_host("a", "/old"))
    assert desired.refused["a"].exact
