"""The reading contract: snapshot, then what follows on; whatever befalls the server, the reader ends at the truth."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.follower import Follower
from interlock.bus.state import Entry, Snapshot, StateWriter
from interlock.errors import BusUnavailable
from interlock.model.names import Cluster
from interlock.model.version import Token
from interlock.wire.trail import Trail
from support.bus_servers import Server

HERE = keys.services(Cluster("eu", "web"))
THERE = keys.services(Cluster("eu", "api"))
TOKEN = Token(epoch=10, nonce="ten")


class Copy:
    """A reader that keeps a copy, as planners and workers do; None while the state is unknown."""

    def __init__(self, bus: Bus, partition: keys.Partition = HERE) -> None:
        self.follower = Follower(bus, [partition])
        self.partition = partition
        self.fields: dict[str, bytes] | None = None
        self.complete = False
        self.told: list[dict[str, bytes] | None] = []
        self.snapshots = 0
        self.entries = 0

    def poll(self, timeout: float = 0.05) -> None:
        for _, update in self.follower.poll(timeout):
            self.complete = update.complete
            if isinstance(update, Snapshot):
                self.snapshots += 1
                self.fields = dict(update.fields) if update.version else None
                self.told.append(self.fields and dict(self.fields))
                continue
            self.entries += 1
            assert self.fields is not None
            for change in update.changes:
                assert self.fields.get(change.field) == change.before
                if change.after is None:
                    del self.fields[change.field]
                else:
                    self.fields[change.field] = change.after
            self.told.append(dict(self.fields))

    def until(self, fields: dict[str, bytes] | None, within: float = 5.0) -> None:
        deadline = time.monotonic() + within
        while self.fields != fields:
            if time.monotonic() > deadline:
                raise AssertionError(f"the reader has {self.fields}, not {fields}")
            self.poll()


def write(writer: StateWriter, **fields: bytes | None) -> None:
    writer.write(fields, token=TOKEN, trail=Trail())


def replace(writer: StateWriter, **fields: bytes) -> None:
    writer.replace(fields, token=TOKEN, trail=Trail())


def test_a_reader_gets_the_snapshot_and_then_each_entry_once(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    for n in range(200):
        write(writer, a=b"%d" % n, **{f"k{n % 7}": b"%d" % n})
    copy.until(writer.read().fields)
    assert copy.snapshots == 1
    assert copy.entries == 200


def test_a_blocked_reader_wakes_at_once(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    timer = threading.Timer(0.1, write, [writer], {"a": b"2"})
    timer.start()
    copy.poll(5.0)
    timer.join()
    assert copy.fields == {"a": b"2"}
    assert copy.snapshots == 1


def test_a_missing_state_is_told_once_and_appears_when_written(bus: Bus) -> None:
    copy = Copy(bus)
    copy.poll(0.1)
    assert copy.fields is None
    assert copy.snapshots == 1
    copy.poll(0.6)
    assert copy.snapshots == 1
    replace(StateWriter(bus, HERE), a=b"1")
    copy.until({"a": b"1"}, within=2.0)
    assert copy.complete


def test_an_older_dump_restored_is_noticed_in_silence_and_healed(bus: Bus) -> None:
    """The reader is ahead of the server: its place in the log lies beyond the end, which reads as silence."""
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    dumps = {key: bus.command("DUMP", key) for key in (HERE.state, HERE.log)}
    for n in range(5):
        write(writer, a=b"new %d" % n)
    copy.until({"a": b"new 4"})
    restore(bus, dumps)
    copy.until(None)
    replace(writer, a=b"new 4")
    copy.until({"a": b"new 4"})
    assert {"a": b"1"} not in copy.told


def dump_of(bus: Bus) -> dict[str, bytes]:
    return {key: bus.command("DUMP", key) for key in (HERE.state, HERE.log, HERE.fence)}


def restore(bus: Bus, dumps: dict[str, bytes]) -> None:
    for key, dump in dumps.items():
        bus.command("RESTORE", key, 0, dump, "REPLACE")


def test_an_older_state_is_unknown_until_its_owner_has_written_again(bus: Bus) -> None:
    """However long nobody writes, across the reader's reconnects, and though it is marked complete."""
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    dumps = dump_of(bus)
    write(writer, a=b"2")
    copy.until({"a": b"2"})
    restore(bus, dumps)
    copy.until(None)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        copy.follower.resync(HERE)
        copy.poll()
        assert copy.fields is None
        assert not copy.complete
    replace(writer, a=b"3")
    copy.until({"a": b"3"}, within=1.0)


def test_a_new_owner_that_finds_the_older_state_right_confirms_it(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    dumps = dump_of(bus)
    for n in range(3):
        write(writer, a=b"%d" % n)
    copy.until({"a": b"2"})
    restore(bus, dumps)
    copy.until(None)
    other, token = StateWriter(bus, HERE), Token(epoch=11, nonce="eleven")
    other.fence(token)
    other.replace({"a": b"1"}, token=token, trail=Trail())
    copy.until({"a": b"1"}, within=1.0)


def test_a_generation_that_was_left_does_not_come_back(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    for n in range(5):
        write(writer, a=b"first %d" % n)
    copy.until({"a": b"first 4"})
    dumps = dump_of(bus)
    bus.command("FLUSHALL")
    replace(writer, a=b"second")
    copy.until({"a": b"second"})
    restore(bus, dumps)
    copy.until(None)
    assert copy.told[-1] is None
    replace(writer, a=b"third")
    copy.until({"a": b"third"})
    assert copy.told.count({"a": b"first 4"}) == 1


def test_a_state_of_an_earlier_term_that_the_reader_never_saw_is_older_too(bus: Bus) -> None:
    writer = StateWriter(bus, HERE)
    replace(writer, a=b"last month")
    dumps = dump_of(bus)
    bus.command("FLUSHALL")
    later = Token(epoch=20, nonce="twenty")
    now, copy = StateWriter(bus, HERE), Copy(bus)
    now.replace({"a": b"today"}, token=later, trail=Trail())
    copy.until({"a": b"today"})
    restore(bus, dumps)
    copy.until(None)
    assert {"a": b"last month"} not in copy.told


def test_a_reader_that_takes_anothers_place_does_not_go_back_either(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    dumps = dump_of(bus)
    write(writer, a=b"2")
    copy.until({"a": b"2"})
    restore(bus, dumps)
    heir = Copy(bus)
    heir.follower = Follower(bus, [HERE], newest=writer.version)
    heir.poll(0.3)
    assert heir.told == [None]
    copy.follower.drop(HERE)
    copy.follower.add(HERE)
    copy.told.clear()
    copy.poll(0.3)
    assert copy.told == [None]
    replace(writer, a=b"3")
    heir.until({"a": b"3"})
    copy.until({"a": b"3"})


def test_history_rewritten_to_the_same_length_is_noticed(bus: Bus) -> None:
    """A failover that lost the last write, after which another took its number: only the nonce tells."""
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    dumps = {key: bus.command("DUMP", key) for key in (HERE.state, HERE.log, HERE.fence)}
    write(writer, a=b"lost")
    copy.until({"a": b"lost"})
    for key, dump in dumps.items():
        bus.command("RESTORE", key, 0, dump, "REPLACE")
    other = StateWriter(bus, HERE)
    write(other, a=b"won")
    assert other.version.seq == copy.follower._readings[HERE].version.seq
    copy.until({"a": b"won"})
    write(other, b=b"2")
    copy.until({"a": b"won", "b": b"2"})


def test_a_flush_is_unknown_and_never_empty(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    bus.command("FLUSHALL")
    copy.until(None)
    replace(writer, a=b"1", b=b"2")
    copy.until({"a": b"1", "b": b"2"})


def test_a_log_cut_short_leads_to_a_resync(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    for n in range(10):
        write(writer, a=b"%d" % n)
    bus.command("XTRIM", HERE.log, "MAXLEN", 2)
    copy.until({"a": b"9"})
    assert copy.snapshots == 2


def test_an_entry_lost_from_the_end_of_the_log_is_noticed(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    write(writer, a=b"2")
    bus.command("DEL", HERE.log)
    copy.until({"a": b"2"})


def test_a_staged_state_reaches_the_reader_whole(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE, most_fields=10), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    large = {f"s{n}": b"x" for n in range(64)}
    replace(writer, **large)
    copy.until(large)
    assert copy.snapshots == 2


@pytest.mark.parametrize("damage", [{"v": "99"}, {"gen": ""}, {"seq": "x"}, {"head": b"\xc1"}])
def test_an_entry_that_cannot_be_read_never_stops_the_reader(bus: Bus, damage: dict) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    write(writer, a=b"2")
    [(_, raw)] = bus.command("XREVRANGE", HERE.log, "+", "-", "COUNT", 1)
    fields = dict(raw) if isinstance(raw, dict) else dict(zip(raw[::2], raw[1::2], strict=True))
    bus.command("XTRIM", HERE.log, "MAXLEN", 1)
    bus.command("DEL", HERE.log)
    fields |= {k.encode(): v for k, v in damage.items()}
    bus.command("XADD", HERE.log, "*", *(part for pair in fields.items() for part in pair))
    copy.until({"a": b"2"})
    write(writer, a=b"3")
    copy.until({"a": b"3"})


def test_one_reader_follows_many_partitions_and_resyncs_only_the_one_in_doubt(bus: Bus) -> None:
    here, there = StateWriter(bus, HERE), StateWriter(bus, THERE)
    replace(here, a=b"1")
    replace(there, b=b"1")
    follower = Follower(bus, [HERE])
    follower.add(THERE)
    assert {p for p, u in follower.poll(0.1) if isinstance(u, Snapshot)} == {HERE, THERE}
    bus.command("DEL", HERE.state)
    write(there, b=b"2")
    seen = []
    deadline = time.monotonic() + 4
    while not any(p == HERE for p, _ in seen) and time.monotonic() < deadline:
        seen += follower.poll(0.1)
    assert [type(u) for p, u in seen if p == THERE] == [Entry]
    assert [u.version for p, u in seen if p == HERE] == [None]
    follower.drop(HERE)
    write(there, b=b"3")
    assert [p for p, _ in follower.poll(1.0)] == [THERE]


@pytest.mark.parametrize("keep_data", [True, False])
def test_a_server_killed_and_started_again_heals(server: Server, bus: Bus, tmp_path: Path, keep_data: bool) -> None:
    del tmp_path
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    copy.until({"a": b"1"})
    time.sleep(1.1 if keep_data else 0)  # appendfsync everysec: what is older than a second is on disk
    server.kill()
    with pytest.raises(BusUnavailable):
        copy.poll(0.2)
    with pytest.raises(BusUnavailable):
        write(writer, a=b"2")
    if not keep_data:
        for part in server.folder.rglob("*.aof*"):
            part.unlink()
        for part in server.folder.rglob("*.rdb"):
            part.unlink()
    server.start()
    assert copy.fields == {"a": b"1"}
    replace(writer, a=b"2")
    copy.until({"a": b"2"})


def test_a_log_that_outlived_its_state_does_not_keep_readers_busy(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    for n in range(20):
        write(writer, a=b"%d" % n)
    copy.until({"a": b"19"})
    bus.command("DEL", HERE.state)
    copy.until(None)
    before = copy.snapshots
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        copy.poll(0.1)
    assert copy.snapshots == before
    replace(writer, a=b"back")
    copy.until({"a": b"back"}, within=2.0)


def test_an_entry_of_somebody_else_does_not_keep_readers_busy(bus: Bus) -> None:
    writer, copy = StateWriter(bus, HERE), Copy(bus)
    replace(writer, a=b"1")
    write(writer, a=b"2")
    copy.until({"a": b"2"})
    bus.command("XADD", HERE.log, "*", "a", "b")
    before = copy.snapshots
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        copy.poll(0.1)
    assert copy.snapshots <= before + 1
    write(writer, a=b"3")
    copy.until({"a": b"3"}, within=1.0)
