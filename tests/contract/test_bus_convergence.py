"""Whatever happens, in whatever order: a reader ends with what the last owner wrote, and never sees a half of it.

A fresh seed each run, printed; `BUS_SEED` repeats one.
"""

from __future__ import annotations

import contextlib
import os
import random
import time

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.bus.follower import Follower
from interlock.bus.state import Snapshot, StateWriter
from interlock.errors import Diverged, Fenced
from interlock.model.names import Cluster
from interlock.model.version import Token
from interlock.wire.trail import Trail

HERE = keys.services(Cluster("eu", "web"))
STEPS = 250


class Owner:
    """Writes as watchers do: it holds the whole truth, writes changes, and replaces on any doubt."""

    def __init__(self, bus: Bus, epoch: int, truth: dict[str, bytes]) -> None:
        self.token = Token(epoch=epoch, nonce=f"n{epoch}")
        self.truth = truth
        self.writer = StateWriter(bus, HERE, most_fields=25)
        self.writer.fence(self.token)

    def change(self, changes: dict[str, bytes | None]) -> None:
        for field, value in changes.items():
            if value is None:
                self.truth.pop(field, None)
            else:
                self.truth[field] = value
        try:
            self.writer.write(changes, token=self.token, trail=Trail())
        except Diverged:
            self.replace()

    def replace(self) -> None:
        self.writer.replace(self.truth, token=self.token, trail=Trail())


class Reader:
    def __init__(self, bus: Bus) -> None:
        self.follower = Follower(bus, [HERE])
        self.fields: dict[str, bytes] | None = None

    def poll(self, timeout: float) -> None:
        for _, update in self.follower.poll(timeout):
            if isinstance(update, Snapshot):
                self.fields = dict(update.fields) if update.version else None
                continue
            for change in update.changes:
                assert self.fields.get(change.field) == change.before, "an entry did not follow on"
                if change.after is None:
                    del self.fields[change.field]
                else:
                    self.fields[change.field] = change.after


def test_a_reader_ends_at_the_truth_whatever_happened(bus: Bus) -> None:  # noqa: C901  # one arm a fate
    seed = int(os.environ.get("BUS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"BUS_SEED={seed}")
    draw = random.Random(seed)
    truth: dict[str, bytes] = {}
    epoch = 1
    owner, former = Owner(bus, epoch, truth), None
    owner.replace()
    readers = [Reader(bus), Reader(bus)]
    dumps: list[dict[str, bytes]] = []

    def some_changes() -> dict[str, bytes | None]:
        count = draw.choice([1, 1, 1, 3, 40])
        return {
            f"s{draw.randrange(60)}": None if draw.random() < 0.3 else draw.randbytes(draw.randrange(1, 40))
            for _ in range(count)
        }

    for _ in range(STEPS):
        match draw.choices(["write", "list", "flush", "dump", "restore", "take over", "late", "read", "trim"],
                           [30, 5, 2, 5, 4, 4, 6, 40, 2])[0]:  # fmt: skip
            case "write":
                owner.change(some_changes())
            case "list":
                owner.replace()
            case "flush":
                bus.command("FLUSHALL")
            case "dump":
                saved = {k: bus.command("DUMP", k) for k in (HERE.state, HERE.log, HERE.fence)}
                dumps.append({k: v for k, v in saved.items() if v})
            case "restore" if dumps:
                saved = draw.choice(dumps)
                bus.command("DEL", HERE.state, HERE.log, HERE.fence)
                for key, dump in saved.items():
                    bus.command("RESTORE", key, 0, dump)
            case "take over":
                epoch += 1
                former, owner = owner, Owner(bus, epoch, truth)
                owner.replace()
            case "late" if former:
                # A fence that was restored or flushed away lets a former owner in; the present one then sees it.
                with contextlib.suppress(Fenced, Diverged):
                    former.writer.write({"late": b"x"}, token=former.token, trail=Trail())
            case "read":
                draw.choice(readers).poll(0.001)
            case "trim":
                bus.command("XTRIM", HERE.log, "MAXLEN", draw.randrange(3))
    if not owner.writer.verify():
        owner.replace()
    deadline = time.monotonic() + 10
    while any(reader.fields != truth for reader in readers):
        assert time.monotonic() < deadline, f"a reader does not come to the truth (BUS_SEED={seed})"
        for reader in readers:
            reader.poll(0.05)
    assert StateWriter(bus, HERE).read().fields == truth
