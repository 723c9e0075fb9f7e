"""The contract of a change: the cheapest action, proven, no request lost; or refused, and nothing is changed."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest

from interlock.errors import ConfigRejected, NotInPlace
from interlock_extension.port import HostView, Proof
from interlock_extension.testing.backends import HELD, Backend
from interlock_extension.testing.base import A, B, ContractBase, Make
from interlock_extension.testing.client import Answer, Connection, Load, until
from interlock_extension.testing.rig import Rig
from interlock_extension.testing.views import endpoint, served

_CHANGES = 20
_MANY = 64
_SOON = 10.0
"""Seconds after `effective_at` by which a proxy must have let go of what is left out."""


def _many(host: str, one: Backend) -> HostView:
    """A host with many endpoints, all of them one backend."""
    plain = served(host, one)
    [upstream] = plain.upstreams
    endpoints = tuple(endpoint(one, f"127.0.1.{n}") for n in range(1, _MANY + 1))
    return msgspec.structs.replace(plain, upstreams=(msgspec.structs.replace(upstream, endpoints=endpoints),))


def _let_go(proof: Proof) -> None:
    """Wait until nothing that was left out can be sent a request any more."""
    assert proof.applying_at <= proof.effective_at <= proof.let_go_at < proof.effective_at + _SOON
    time.sleep(max(0.0, proof.let_go_at - time.time()))


class Changing(ContractBase):
    """From one configuration to the next."""

    def test_it_says_what_it_can_change_in_place(self, rig: Rig) -> None:
        assert rig.control.in_place == self.in_place

    def test_endpoints_come_and_go_by_the_cheapest_action(self, rig: Rig, backend: Make) -> None:
        one, two = backend("one"), backend("two")
        rig.start(served(A, one))
        applied = rig.change(served(A, one, two))
        assert (applied.result, rig.answerers(A, 20)) == (self.cheapest("endpoints"), {"one", "two"})
        applied = rig.change(served(A, two))
        assert (applied.result, rig.answerers(A, 20)) == (self.cheapest("endpoints"), {"two"})
        assert rig.control.installed() == rig.given

    def test_hosts_come_and_go_by_the_cheapest_action(self, rig: Rig, backend: Make) -> None:
        one, two = backend("one"), backend("two")
        rig.start(served(A, one))
        applied = rig.change(served(B, two))
        assert (applied.result, rig.ask(A).by, rig.ask(B).by) == (self.cheapest("routes"), "one", "two")
        applied = rig.change(gone=(B,))
        assert (applied.result, rig.ask(A).by, rig.ask(B).status) == (self.cheapest("routes"), "one", 503)
        assert rig.control.installed() == rig.given

    def test_a_path_is_moved_by_the_cheapest_action(self, rig: Rig, backend: Make) -> None:
        one = backend("one")
        rig.start(served(A, one, path="/old"))
        applied = rig.change(served(A, one, path="/new"))
        assert applied.result == self.cheapest("routes")
        assert [rig.ask(A, path).status for path in ("/old", "/new")] == [404, 200]

    def test_a_change_in_place_is_whole_or_nothing(self, rig: Rig, backend: Make) -> None:
        """Also a large one of a kind that is declared may be refused; then a reload brings it."""
        many = backend("many", address="0.0.0.0")
        rig.start(served(A, backend("one")), served(B, backend("two")))
        before = rig.control.installed()
        wanted = _many(A, many)
        refused: NotInPlace | None = None
        try:
            rig.change_in_place(wanted)
        except NotInPlace as error:
            refused = error
        if refused is not None:
            assert refused.what
            assert rig.control.installed() == before
            assert (rig.answerers(A), rig.control.probe()) == ({"one"}, True)
            assert rig.change(wanted).result == "reloaded"
        assert rig.answerers(A) == {"many"}
        assert rig.answerers(B) == {"two"}
        assert rig.control.installed() == rig.given

    def test_from_the_proof_on_new_requests_meet_only_the_new(self, rig: Rig, backend: Make) -> None:
        pair = [backend("one"), backend("two")]
        rig.start(served(A, pair[0]))
        for n in range(1, 6):
            before = time.time()
            applied = rig.change(served(A, pair[n % 2]))
            assert before <= applied.proof.applying_at <= applied.proof.effective_at <= time.time()
            assert rig.answerers(A, 8) == {pair[n % 2].name}

    def test_what_is_let_go_gets_no_request_on_kept_connections_either(
        self, rig: Rig, backend: Make, connect: Callable[[], Connection]
    ) -> None:
        """Neither on one that was used before nor on one that has not sent anything yet."""
        pair = [backend("one"), backend("two")]
        rig.start(served(A, pair[0]))
        for n in range(3):
            old, new = pair[n % 2], pair[(n + 1) % 2]
            used, silent = [connect() for _ in range(4)], [connect() for _ in range(4)]
            assert {link.ask(A).by for link in used} == {old.name}
            _let_go(rig.change(served(A, new)).proof)
            count, answered = len(old.requests), set()
            for link in (*used, *silent):
                # Who closes an idle connection sends nothing to anybody.
                with suppress(OSError, http.client.HTTPException):
                    answered.add(link.ask(A).by)
            assert answered <= {new.name}
            assert len(old.requests) == count

    def test_no_request_fails_while_much_changes(self, rig: Rig, backend: Make) -> None:
        """Twenty changes of endpoints and of hosts, under steady requests."""
        pair = [backend("one"), backend("two")]
        rig.start(served(A, pair[0]))
        with Load(rig.where, A, kept="idle_connections" not in self.lacks) as load:
            for n in range(1, _CHANGES + 1):
                rig.change(served(A, pair[n % 2]), **({"gone": (B,)} if B in rig.views else {}))
                if n % 4 == 0:
                    rig.change(served(B, pair[0]))
                done = load.done
                until(lambda done=done: load.done > done + 4, "requests after a change")  # type: ignore[misc]
        assert load.failed == []
        assert load.done > 4 * _CHANGES
        assert rig.control.installed() == rig.given

    def test_a_request_in_flight_is_finished_whatever_changes(self, rig: Rig, backend: Make) -> None:
        old, new = backend("old"), backend("new")
        rig.start(served(A, old))
        answers: list[Answer] = []
        asking = threading.Thread(target=lambda: answers.append(rig.ask(A, HELD)))
        asking.start()
        until(lambda: old.requests, "the request is under way")
        rig.change(served(A, new))
        rig.change(served(A, new), served(B, old))
        rig.control.tend()
        assert rig.answerers(A) == {"new"}
        old.go_on.set()
        asking.join()
        assert [answer.text for answer in answers] == [f"old {HELD}"]

    def test_a_refused_file_changes_nothing(self, rig: Rig, backend: Make) -> None:
        """Neither the neighbours, nor the host itself, nor what the next start would read."""
        one, two = backend("one"), backend("two")
        rig.start(served(A, one), served(B, two))
        file = rig.renderer.file_of(A)
        for _ in range(2):
            with pytest.raises(ConfigRejected) as refused:
                rig.put({file: self.broken})
            assert refused.value.culprit in {file, None}
            assert rig.control.installed() == rig.given
            assert (rig.ask(A).by, rig.ask(B).by) == ("one", "two")
            assert rig.control.probe() is True
        rig.change(served(A, two))
        assert (rig.ask(A).by, rig.ask(B).by) == ("two", "two")

    def test_a_file_that_a_start_refuses_is_named(self, rig: Rig, backend: Make) -> None:
        file, good = rig.renderer.file_of(A), rig.files({B: served(B, backend("two"))})
        with pytest.raises(ConfigRejected) as refused:
            rig.control.start({**good, file: self.broken})
        assert refused.value.culprit == file
        assert not rig.control.alive()
        assert rig.start(served(B, backend("three"))) == "started"
        assert rig.ask(B).by == "three"

    def test_a_check_names_the_culprit_and_changes_nothing(self, rig: Rig, backend: Make) -> None:
        one = backend("one")
        rig.start(served(A, one))
        good, bad = rig.renderer.host(served(B, one)), self.broken
        rig.control.check({})
        rig.control.check({B: good})
        with pytest.raises(ConfigRejected) as refused:
            rig.control.check({B: good, A: bad})
        assert refused.value.culprit in {A, rig.renderer.file_of(A)}
        assert rig.control.installed() == rig.given
        assert (rig.ask(A).by, rig.ask(B).status) == ("one", 503)
