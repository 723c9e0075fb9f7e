"""What acts for one cluster of a pool: it comes to rest before it ends, and one that fails ends alone and is told."""

from __future__ import annotations

import threading

import pytest

from interlock_extension.pool.seat import Failures, Seat
from support.planner_lab import eventually


class Recorder:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.failures = Failures()
        self.closed = 0
        self.go = threading.Event()

    def close(self) -> None:
        self.closed += 1

    def seat(self, act, **loops) -> Seat:
        return Seat("eu/a", act, loops, failures=self.failures, on_failure=self.told.append, closers=(self.close,))


def test_it_rests_when_its_worker_does_and_has_ended_when_all_have() -> None:
    record = Recorder()
    seat = record.seat(lambda stop: stop.wait(), slow=lambda stop: record.go.wait())
    assert not seat.rests
    seat.stop()
    eventually(lambda: seat.rests)
    assert not seat.ended
    record.go.set()
    eventually(lambda: seat.ended)
    seat.close()
    assert (record.closed, record.told, seat.failed) == (1, [], "")


def broken(_: threading.Event) -> None:
    raise ValueError("broken")


def test_a_loop_that_fails_ends_the_whole_seat_and_it_alone_and_is_told_once() -> None:
    record = Recorder()
    other = record.seat(lambda stop: stop.wait())
    seat = record.seat(lambda stop: stop.wait(), intake=broken, prober=lambda stop: stop.wait())
    eventually(lambda: seat.ended)
    assert seat.failed == "ValueError: broken"
    assert record.told == [seat.failed]
    assert not other.rests
    seat.close()
    other.close()
    assert record.closed == 2


def test_a_loop_that_ends_by_itself_has_failed() -> None:
    record = Recorder()
    seat = record.seat(lambda stop: stop.wait(), prober=lambda stop: None)
    eventually(lambda: seat.ended)
    assert seat.failed == "its prober ended"
    seat.close()


def test_a_traceback_is_told_once_for_each_kind_and_a_line_each_time(capfd: pytest.CaptureFixture[str]) -> None:
    record = Recorder()

    def otherwise(_: threading.Event) -> None:
        raise KeyError("x")

    for act in (broken, broken, otherwise, broken):
        seat = record.seat(act)
        eventually(lambda seat=seat: seat.ended)
        seat.close()
    output = "".join(capfd.readouterr())
    assert output.count("Traceback (most recent call last)") == 2
    assert output.count("is not acted for") == 4


def test_without_a_thread_for_each_loop_none_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Recorder()
    ended = threading.Event()
    start = threading.Thread.start

    def no_more(thread: threading.Thread) -> None:
        if thread.name.endswith("prober"):
            raise RuntimeError("can't start new thread")
        start(thread)

    def act(stop: threading.Event) -> None:
        stop.wait()
        ended.set()

    monkeypatch.setattr(threading.Thread, "start", no_more)
    with pytest.raises(RuntimeError):
        record.seat(act, prober=lambda stop: stop.wait())
    assert ended.is_set()
