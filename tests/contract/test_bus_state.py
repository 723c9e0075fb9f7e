"""The state contract: hash and log change together, versions chain, fences hold, completeness is a fact."""

from __future__ import annotations

import pytest

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.state import Retention, StateWriter, entry_of, snapshot_of
from interlock.errors import Diverged, Fenced
from interlock.model.names import Cluster
from interlock.model.version import Token
from interlock.wire.trail import Cause, Trail

HERE = keys.services(Cluster("eu", "web"))
TOKEN = Token(epoch=10, nonce="ten")
TRAIL = Trail(causes=(Cause(id="c1", kind="event", what="service update", at=1.0),), hops={"seen": 2.0})


def entries(bus: Bus) -> list:
    return [entry_of(raw_id, dict(zip(raw[::2], raw[1::2], strict=True)) if isinstance(raw, list) else raw)
            for raw_id, raw in bus.command("XRANGE", HERE.log, "-", "+")]  # fmt: skip


def begun(bus: Bus, fields: dict[str, bytes], **options) -> StateWriter:
    writer = StateWriter(bus, HERE, **options)
    writer.replace(fields, token=TOKEN, trail=TRAIL)
    return writer


def test_a_missing_state_is_unknown_and_not_empty(bus: Bus) -> None:
    snapshot = StateWriter(bus, HERE).read()
    assert snapshot.version is None
    assert not snapshot.complete


def test_writing_into_a_missing_state_is_refused(bus: Bus) -> None:
    with pytest.raises(Diverged, match="missing"):
        StateWriter(bus, HERE).write({"a": b"1"}, token=TOKEN, trail=TRAIL)
    assert bus.command("EXISTS", HERE.state, HERE.log) == 0


def test_an_empty_listing_makes_a_complete_state(bus: Bus) -> None:
    begun(bus, {})
    snapshot = StateWriter(bus, HERE).read()
    assert snapshot.complete
    assert snapshot.version is not None
    assert snapshot.fields == {}


def test_an_entry_says_before_and_after_and_carries_the_trail(bus: Bus) -> None:
    writer = begun(bus, {"a": b"1", "b": b"1"})
    writer.write({"a": b"2", "b": None, "c": b"3"}, token=TOKEN, trail=TRAIL)
    last = entries(bus)[-1]
    assert {(c.field, c.before, c.after) for c in last.changes} == {
        ("a", b"1", b"2"), ("b", b"1", None), ("c", None, b"3"),
    }  # fmt: skip
    assert last.trail == TRAIL
    assert writer.read().fields == {"a": b"2", "c": b"3"}


def test_each_entry_names_its_predecessor(bus: Bus) -> None:
    writer = begun(bus, {"a": b"1"})
    for value in (b"2", b"3", b"4"):
        writer.write({"a": value}, token=TOKEN, trail=TRAIL)
    log = entries(bus)
    assert [e.version.seq for e in log] == [1, 2, 3, 4]
    assert len({e.version.generation for e in log}) == 1
    assert [e.previous for e in log[1:]] == [e.version.nonce for e in log[:-1]]


def test_what_does_not_differ_is_not_written(bus: Bus) -> None:
    writer = begun(bus, {"a": b"1"})
    before = writer.read().version
    assert writer.write({"a": b"1", "zz": None}, token=TOKEN, trail=TRAIL) is None
    assert writer.replace({"a": b"1"}, token=TOKEN, trail=TRAIL) is None
    assert writer.read().version == before
    assert len(entries(bus)) == 1


def test_the_first_replacement_of_a_term_is_written_even_where_nothing_differs(bus: Bus) -> None:
    """It confirms what was found, for readers that hold it back as older than what they have."""
    begun(bus, {"a": b"1"})
    token = Token(epoch=12, nonce="twelve")
    new = StateWriter(bus, HERE)
    new.fence(token)
    version = new.replace({"a": b"1"}, token=token, trail=TRAIL)
    assert version is not None
    assert (version.seq, version.epoch) == (2, 12)
    assert new.read().version == version
    assert [(e.version.epoch, len(e.changes)) for e in entries(bus)] == [(10, 1), (12, 0)]
    assert new.replace({"a": b"1"}, token=token, trail=TRAIL) is None


def test_replacing_removes_what_is_gone_and_keeps_the_generation(bus: Bus) -> None:
    writer = begun(bus, {"a": b"1", "b": b"1"})
    generation = writer.version.generation
    writer.replace({"b": b"2"}, token=TOKEN, trail=TRAIL)
    snapshot = writer.read()
    assert snapshot.fields == {"b": b"2"}
    assert snapshot.version.generation == generation
    assert snapshot.version.seq == 2


def test_a_smaller_token_is_refused_once_a_larger_one_was_seen(bus: Bus) -> None:
    old = begun(bus, {"a": b"1"})
    new = StateWriter(bus, HERE)
    new.fence(Token(epoch=11, nonce="eleven"))
    for act in (old.write, old.replace):
        with pytest.raises(Fenced) as refusal:
            act({"a": b"late"}, token=TOKEN, trail=TRAIL)
        assert refusal.value.seen == 11
    assert StateWriter(bus, HERE).read().fields == {"a": b"1"}


def test_an_equal_epoch_of_another_owner_is_refused(bus: Bus) -> None:
    begun(bus, {"a": b"1"})
    with pytest.raises(Fenced):
        StateWriter(bus, HERE).write({"a": b"2"}, token=Token(epoch=10, nonce="another"), trail=TRAIL)


def test_a_new_owner_goes_on_with_the_generation_it_finds(bus: Bus) -> None:
    begun(bus, {"a": b"1"})
    token = Token(epoch=12, nonce="twelve")
    new = StateWriter(bus, HERE)
    new.fence(token)
    new.write({"a": b"2"}, token=token, trail=TRAIL)
    assert [e.version.seq for e in entries(bus)] == [1, 2]
    assert len({e.version.generation for e in entries(bus)}) == 1


def test_a_writer_sees_that_its_last_write_is_gone(bus: Bus) -> None:
    writer = begun(bus, {"a": b"1"})
    dump = bus.command("DUMP", HERE.state)
    writer.write({"a": b"2"}, token=TOKEN, trail=TRAIL)
    first = writer.version.generation
    bus.command("RESTORE", HERE.state, 0, dump, "REPLACE")
    assert not writer.verify()
    with pytest.raises(Diverged):
        writer.write({"a": b"3"}, token=TOKEN, trail=TRAIL)
    writer.replace({"a": b"3"}, token=TOKEN, trail=TRAIL)
    assert writer.read().fields == {"a": b"3"}
    assert writer.version.generation != first
    assert writer.verify()


def test_a_replaced_state_is_a_new_generation_even_where_the_restored_one_is_right(bus: Bus) -> None:
    """Readers may be ahead of the restored state; only another generation tells them all."""
    writer = begun(bus, {"a": b"1"})
    dump = bus.command("DUMP", HERE.state)
    writer.write({"a": b"2"}, token=TOKEN, trail=TRAIL)
    first = writer.version.generation
    bus.command("RESTORE", HERE.state, 0, dump, "REPLACE")
    assert writer.replace({"a": b"1"}, token=TOKEN, trail=TRAIL).generation != first


def test_after_a_flush_the_state_is_written_whole_again(bus: Bus) -> None:
    writer = begun(bus, {"a": b"1", "b": b"1"})
    bus.command("FLUSHALL")
    assert not writer.verify()
    with pytest.raises(Diverged):
        writer.write({"a": b"2"}, token=TOKEN, trail=TRAIL)
    assert bus.command("EXISTS", HERE.state) == 0
    writer.replace({"a": b"2", "b": b"1"}, token=TOKEN, trail=TRAIL)
    assert writer.read().complete


@pytest.mark.parametrize("limits", [{"most_fields": 10}, {"most_bytes": 200}])
def test_a_state_larger_than_one_script_takes_is_staged_and_swapped_in_at_once(bus: Bus, limits: dict) -> None:
    fields = {f"s{n}": b"x" * 20 for n in range(95)}
    writer = begun(bus, fields, **limits)
    snapshot = writer.read()
    assert snapshot.fields == fields
    assert snapshot.complete
    assert [e.kind for e in entries(bus)] == ["resync"]
    assert bus.command("KEYS", f"{HERE.state}:new:*") == []
    assert bus.command("TTL", HERE.state) == -1


def test_a_large_change_keeps_what_it_does_not_name(bus: Bus) -> None:
    writer = begun(bus, {"keep": b"1", "drop": b"1"}, most_fields=10)
    writer.write({"drop": None} | {f"n{i}": b"1" for i in range(30)}, token=TOKEN, trail=TRAIL)
    fields = writer.read().fields
    assert "drop" not in fields
    assert fields["keep"] == b"1"
    assert len(fields) == 31


def test_a_half_staged_state_is_never_swapped_in(bus: Bus) -> None:
    """What a writer that died while staging left behind does not reach the state, and goes by itself."""
    writer = begun(bus, {"a": b"1"}, most_fields=10)
    fields = {f"s{n}": b"x" for n in range(50)}
    real, calls = bus.run, 0

    def dying(script, key_names, args):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return real(script, key_names, args)

    bus.run = dying
    with pytest.raises(KeyboardInterrupt):
        writer.replace(fields, token=TOKEN, trail=TRAIL)
    bus.run = real
    assert StateWriter(bus, HERE).read().fields == {"a": b"1"}
    [left] = bus.command("KEYS", f"{HERE.state}:new:*")
    assert 0 < bus.command("PTTL", left) <= 60_000


def test_a_staged_state_obeys_the_fence(bus: Bus) -> None:
    old = begun(bus, {"a": b"1"}, most_fields=10)
    StateWriter(bus, HERE).fence(Token(epoch=11, nonce="eleven"))
    with pytest.raises(Fenced):
        old.replace({f"s{n}": b"x" for n in range(50)}, token=TOKEN, trail=TRAIL)
    assert StateWriter(bus, HERE).read().fields == {"a": b"1"}


def test_the_log_is_bounded_by_bytes(bus: Bus) -> None:
    retention = Retention(most_bytes=50_000)
    writer = begun(bus, {"a": b"0"}, retention=retention)
    for n in range(600):
        writer.write({"a": b"%d" % n * 100}, token=TOKEN, trail=TRAIL)
    held = sum(len(c.before or b"") + len(c.after or b"") for e in entries(bus) for c in e.changes)
    # Streams are trimmed by whole nodes of up to 100 entries, hence the slack.
    assert held < 3 * retention.most_bytes
    assert writer.read().fields == {"a": b"599" * 100}


def test_the_log_is_bounded_by_time(bus: Bus) -> None:
    writer = begun(bus, {"a": b"0"}, retention=Retention(seconds=0.05))
    for n in range(400):
        writer.write({"a": b"%d" % n}, token=TOKEN, trail=TRAIL)
    bus.command("DEBUG", "SLEEP", "0.1")
    writer.write({"a": b"last"}, token=TOKEN, trail=TRAIL)
    assert len(entries(bus)) < 250


def test_a_full_server_gives_up_its_logs_and_takes_the_state(bus: Bus) -> None:
    writer = begun(bus, {"a": b"0"})
    for n in range(50):
        writer.write({"a": b"%d" % n * 1000}, token=TOKEN, trail=TRAIL)
    assert len(entries(bus)) == 51
    bus.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    bus.command("CONFIG", "SET", "maxmemory", "1")
    try:
        writer.write({"a": b"still written", "b": b"new"}, token=TOKEN, trail=TRAIL)
        snapshot = writer.read()
    finally:
        bus.command("CONFIG", "SET", "maxmemory", "0")
    assert snapshot.fields == {"a": b"still written", "b": b"new"}
    assert len(entries(bus)) <= 17


def test_a_large_state_goes_into_a_full_server_too(bus: Bus) -> None:
    writer = begun(bus, {"a": b"0"}, most_fields=10)
    bus.command("CONFIG", "SET", "maxmemory", "1")
    try:
        writer.replace({f"s{n}": b"x" for n in range(50)}, token=TOKEN, trail=TRAIL)
    finally:
        bus.command("CONFIG", "SET", "maxmemory", "0")
    assert len(writer.read().fields) == 50


def test_the_origin_is_kept_without_an_entry_of_its_own(bus: Bus) -> None:
    writer = begun(bus, {"a": b"1"})
    other = StateWriter(bus, keys.plan(Cluster("eu", "web")))
    other.replace({"h": b"1"}, token=TOKEN, trail=TRAIL, origin=writer.version)
    assert other.read().origin == writer.version
    writer.write({"a": b"2"}, token=TOKEN, trail=TRAIL)
    assert other.write({"h": b"1"}, token=TOKEN, trail=TRAIL, origin=writer.version) is None
    assert other.read().origin == writer.version


def test_field_names_and_values_are_any_bytes(bus: Bus) -> None:
    writer = begun(bus, {"host:bücher.example": bytes(range(256))})
    assert writer.read().fields == {"host:bücher.example": bytes(range(256))}


def test_every_key_of_a_partition_lies_in_one_slot(bus: Bus) -> None:
    del bus
    cluster = Cluster("eu {north}", "a/b~*")
    tags = {key.partition("{")[2].partition("}")[0] for key in
            (keys.services(cluster).state, keys.plan(cluster).log, keys.plan(cluster).staging("n"),
             keys.cluster_lease(cluster), keys.outcomes(cluster))}  # fmt: skip
    assert tags == {"eu%20%7Bnorth%7D/a%2Fb%7E%2A"}
    assert Cluster.parse(str(cluster)) == cluster


def test_a_hash_without_marks_is_not_a_state() -> None:
    assert snapshot_of([b"a", b"1"]).version is None


def test_a_writer_that_found_nothing_to_write_goes_by_what_it_found(bus: Bus) -> None:
    """A restore after a quiet take-over: the new owner must not lay its next change on the older state."""
    old = begun(bus, {"a": b"1"})
    dump = bus.command("DUMP", HERE.state)
    old.write({"a": b"2"}, token=TOKEN, trail=TRAIL)
    token = Token(epoch=12, nonce="twelve")
    new = StateWriter(bus, HERE)
    new.fence(token)
    new.replace({"a": b"2"}, token=token, trail=TRAIL)
    assert new.replace({"a": b"2"}, token=token, trail=TRAIL) is None
    bus.command("RESTORE", HERE.state, 0, dump, "REPLACE")
    assert not new.verify()
    with pytest.raises(Diverged):
        new.write({"x": b"new"}, token=token, trail=TRAIL)


def test_a_log_that_outlived_its_state_is_still_bounded(bus: Bus) -> None:
    retention = Retention(most_bytes=20_000)
    writer = begun(bus, {"a": b"0"}, retention=retention)
    for n in range(300):
        writer.write({"a": b"%d" % n * 100}, token=TOKEN, trail=TRAIL)
    bus.command("DEL", HERE.state)
    writer.replace({"a": b"x"}, token=TOKEN, trail=TRAIL)
    for n in range(300):
        writer.write({"a": b"%d" % n * 100}, token=TOKEN, trail=TRAIL)
    held = sum(len(c.before or b"") + len(c.after or b"") for e in entries(bus) for c in e.changes)
    assert held < 3 * retention.most_bytes
