"""What acts for one cluster of a pool: it comes to rest before it ends, and a loop that fails is told."""

from __future__ import annotations

import threading

from interlock_extension.pool.seat import Seat
from support.planner_lab import eventually


class Recorder:
    def __init__(self) -> None:
        self.failed: list[str] = []
        self.closed = 0
        self.go = threading.Event()

    def close(self) -> None:
        self.closed += 1

    def seat(self, act, **loops) -> Seat:
        return Seat("eu/a", act, loops, fail=self.failed.append, closers=(self.close,))


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
    assert (record.closed, record.failed) == (1, [])


def test_a_loop_that_fails_or_ends_by_itself_is_told() -> None:
    record = Recorder()

    def fails(_: threading.Event) -> None:
        raise ValueError("broken")

    seat = record.seat(lambda stop: stop.wait(), intake=fails, prober=lambda stop: None)
    eventually(lambda: len(record.failed) == 2)
    assert sorted(record.failed) == ["eu/a: intake ended", "eu/a: prober ended"]
    seat.close()
