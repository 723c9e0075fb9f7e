"""The contract of a proxy's life: it outlives its worker, comes back as it was, ends when told, says what it runs."""

from __future__ import annotations

import threading

from interlock.runtime import health
from interlock_extension.testing.backends import HELD
from interlock_extension.testing.base import A, B, ContractBase, Make
from interlock_extension.testing.client import Answer, Load, until
from interlock_extension.testing.listeners import listening
from interlock_extension.testing.rig import Rig
from interlock_extension.testing.views import served


def _said(rig: Rig) -> str:
    """What the proxy answers to the health check; it is as the control says that it may be."""
    witness = rig.control.witness()
    assert witness is not None
    socket, begins = witness
    said = health.ask(socket) or ""
    # More than one only while a change is being brought into effect.
    assert len(begins) == 1
    assert begins[0]
    assert said.startswith(begins), f"{said!r} does not begin with one of {begins}"
    return said


class Living(ContractBase):
    """Start, adoption, death, end."""

    def test_it_starts_from_nothing(self, rig: Rig) -> None:
        assert not rig.control.alive()
        assert rig.start() == "started"
        assert rig.control.alive()
        assert rig.ask(A).status == 503
        assert rig.control.installed() == rig.given

    def test_it_starts_with_exactly_what_it_is_given(self, rig: Rig, backend: Make) -> None:
        """What an earlier life left in the folder is not served."""
        rig.start(served(A, backend("one")), served(B, backend("two")))
        rig.control.stop(2.0)
        rig.reopen()
        assert rig.start(served(B, backend("three"))) == "started"
        assert (rig.ask(A).status, rig.ask(B).by) == (503, "three")
        assert rig.control.installed() == rig.given

    def test_a_killed_proxy_comes_back_as_it_was(self, rig: Rig, backend: Make) -> None:
        """With all that was changed while it ran, in place or not."""
        one, two = backend("one"), backend("two")
        rig.start(served(A, one))
        rig.change(served(A, two))
        rig.change(served(B, one))
        left = rig.control.installed()
        self.kill(rig)
        until(lambda: not rig.control.alive(), "the control sees that the proxy is dead")
        assert rig.control.start(left) == "started"
        assert (rig.ask(A).by, rig.ask(B).by) == ("two", "one")
        assert rig.control.installed() == rig.given
        rig.change(served(B, two))
        assert rig.ask(B).by == "two"

    def test_a_proxy_that_died_with_its_worker_comes_back_too(self, rig: Rig, backend: Make) -> None:
        rig.start(served(A, backend("one")))
        rig.control.leave()
        self.kill(rig)
        rig.reopen()
        assert rig.start(*rig.views.values()) == "started"
        assert rig.ask(A).by == "one"

    def test_a_left_proxy_serves_on_and_is_adopted(self, rig: Rig, backend: Make) -> None:
        """As it runs, whatever its new worker would have started it with."""
        one, two = backend("one"), backend("two")
        rig.start(served(A, one))
        rig.change(served(B, two))
        with Load(rig.where, A, kept="idle_connections" not in self.lacks) as load:
            rig.control.leave()
            done = load.done
            until(lambda: load.done > done + 4, "requests without a worker")
            rig.reopen()
            assert rig.control.start(rig.files({A: served(A, two)})) == "adopted"
            assert rig.control.installed() == rig.given
            assert (rig.control.alive(), rig.control.probe()) == (True, True)
            rig.change(served(B, one))
        assert load.failed == []
        assert (rig.ask(A).by, rig.ask(B).by) == ("one", "one")

    def test_a_stop_finishes_what_is_in_flight_and_ends_it(self, rig: Rig, backend: Make) -> None:
        one = backend("one")
        rig.start(served(A, one))
        answers: list[Answer] = []
        asking = threading.Thread(target=lambda: answers.append(rig.ask(A, HELD)))
        asking.start()
        until(lambda: one.requests, "the request is under way")
        stopping = threading.Thread(target=lambda: rig.control.stop(10.0))
        stopping.start()
        until(lambda: not listening(rig.where[1]), "nobody listens")
        one.go_on.set()
        asking.join()
        stopping.join()
        assert [answer.text for answer in answers] == [f"one {HELD}"]
        assert not rig.control.alive()

    def test_the_probe_tells_what_it_was_given_from_what_others_did(self, rig: Rig, backend: Make) -> None:
        one = backend("one")
        rig.start(served(A, one))
        assert rig.control.probe() is True
        rig.change(served(A, one), served(B, one))
        assert rig.control.probe() is True
        if self.meddle(rig):
            until(lambda: rig.control.probe() is False, "the probe sees that somebody meddled")
            rig.put(dict(rig.given))
            assert (rig.control.probe(), rig.ask(A).by, rig.ask(B).by) == (True, "one", "one")
        self.kill(rig)
        assert rig.control.probe() is None

    def test_the_health_check_is_told_what_the_proxy_runs(self, rig: Rig, backend: Make) -> None:
        one, two = backend("one"), backend("two")
        rig.start(served(A, one))
        first = _said(rig)
        rig.change(served(A, two))
        second = _said(rig)
        assert first != second
        rig.control.leave()
        rig.reopen()
        assert rig.start() == "adopted"
        assert _said(rig) == second
        rig.control.stop(2.0)
        assert rig.control.witness() is None

    def test_tending_reports_numbers(self, rig: Rig, backend: Make) -> None:
        one = backend("one")
        rig.start(served(A, one))
        rig.change(served(B, one))
        said = rig.control.tend()
        assert all(isinstance(value, float) for value in said.values())
        assert all(name.isidentifier() for name in said)
