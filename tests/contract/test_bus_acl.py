"""The bus' users: each does its whole work with what `interlock acl` gives it, and is refused everything else."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from interlock.bus import acl, keys
from interlock.bus.cli import main
from interlock.bus.connection import Bus
from interlock.bus.env import RegionEnv
from interlock.bus.follower import Follower
from interlock.bus.held import HeldPolicies
from interlock.bus.lease import Lease, holders
from interlock.bus.members import PoolMembers
from interlock.bus.outcomes import OutcomeLog, OutcomeNews, Outcomes
from interlock.bus.registry import Registry
from interlock.bus.state import Retention, StateWriter
from interlock.errors import BusError, BusUnavailable, InterlockError
from interlock.inspection import view
from interlock.model.held import Held
from interlock.model.names import Cluster
from interlock.model.outcome import Outcome
from interlock.model.version import Token
from interlock.wire.trail import Trail
from support.bus_servers import Server, redis7_binary, valkey_binary

REGION = "eu"
EAST, WEST, UNNAMED = (Cluster(REGION, name) for name in ("east", "west", ""))
USERS = acl.users(REGION, ("", "east", "west"), ("f5",))
TOKEN = Token(epoch=10, nonce="ten")
TRAIL = Trail()


class Guarded:
    """A server that lets in the users of an aclfile, and one of the test's that may do anything."""

    def __init__(self, binary: str, folder: Path) -> None:
        arguments = ["--region", REGION, "--urls", str(folder / "urls"), "--server", f"unix://{folder / 'bus.sock'}"]
        for name in ("", "east", "west"):
            arguments += ["--cluster", name]
        arguments += ["--pool", "f5"]
        made = CliRunner().invoke(main, arguments)
        assert made.exit_code == 0, made.output
        (folder / "users.acl").write_text(f"{made.stdout}user admin on nopass ~* &* +@all\n")
        self.urls = folder / "urls"
        self.server = Server(binary, folder, "--aclfile", str(folder / "users.acl"), login="admin:any@").start()
        self.admin = self._administer()
        self._open: list[Bus] = []

    def _administer(self) -> Bus:
        return Bus.connect(self.server.url.replace("://", "://admin:any@"))

    def url(self, user: str) -> str:
        return (self.urls / f"{user}.url").read_text().strip()

    def bus(self, user: str) -> Bus:
        self._open.append(Bus.connect(self.url(user)))
        return self._open[-1]

    def fresh(self) -> None:
        """No data, and every user as it was made."""
        for bus in self._open:
            bus.close()
        self._open = []
        self.admin.command("FLUSHALL")
        self.admin.command("ACL", "LOAD")
        # Redis 7 ends everybody's connection, ours included.
        self.admin.close()
        self.admin = self._administer()

    def close(self) -> None:
        self.fresh()
        self.admin.close()
        self.server.stop()


@pytest.fixture(scope="module", params=[pytest.param("valkey9"), pytest.param("redis7", marks=pytest.mark.redis7)])
def server(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    binary = valkey_binary() if request.param == "valkey9" else redis7_binary()
    assert binary
    with tempfile.TemporaryDirectory(prefix="il-") as folder:
        guarded = Guarded(binary, Path(folder))
        yield guarded
        guarded.close()


@pytest.fixture
def guarded(server: Guarded) -> Guarded:
    server.fresh()
    return server


def _lease(bus: Bus, admin: Bus, key: str) -> None:
    admin.command("SET", key, "not of our making")
    first, second = Lease(bus, key, "first", ttl=0.2), Lease(bus, key, "second", ttl=5.0)
    assert first.acquire()
    assert second.acquire() is None
    time.sleep(0.25)
    assert second.acquire(), "a lease that ran out is not taken over"
    second.release()


def _state(bus: Bus, admin: Bus, partition: keys.Partition) -> None:
    """Fence, write, remove, stage, trim by bytes and on a full server, put right."""
    writer = StateWriter(bus, partition, retention=Retention(most_bytes=2_000), most_fields=4)
    writer.fence(TOKEN)
    writer.replace({"a": b"1", "b": b"1"}, token=TOKEN, trail=TRAIL)
    for n in range(40):
        assert writer.write({"a": b"%d" % n * 100, "b": None}, token=TOKEN, trail=TRAIL)
    assert writer.verify()
    assert admin.command("XLEN", partition.log) < 41, "nothing was trimmed"
    large = {f"f{n}": b"x" for n in range(10)}
    assert writer.replace(large, token=TOKEN, trail=TRAIL, origin=writer.version)
    assert writer.read().fields == large
    admin.command("CONFIG", "SET", "maxmemory", "1")
    try:
        assert writer.write({"full": b"1"}, token=TOKEN, trail=TRAIL)
    finally:
        admin.command("CONFIG", "SET", "maxmemory", "0")
    admin.command("DEL", partition.state)
    admin.command("SET", partition.state, "not of our making")
    assert writer.replace(large, token=TOKEN, trail=TRAIL)


def _follow(bus: Bus, admin: Bus, partition: keys.Partition) -> None:
    """Snapshot, entry, comparison, and a log that is no stream."""
    now = [0.0]
    owner = StateWriter(admin, partition)
    owner.replace({"a": b"1"}, token=TOKEN, trail=TRAIL)
    follower = Follower(bus, [partition], clock=lambda: now[0])
    assert [u.fields for _, u in follower.poll(0.0)] == [{"a": b"1"}]
    owner.write({"a": b"2"}, token=TOKEN, trail=TRAIL)
    assert [u.changes[0].after for _, u in follower.poll(0.0)] == [b"2"]
    now[0] += 10.0
    assert follower.poll(0.0) == [], "it could not compare, and read everything anew"
    now[0] += 10.0
    admin.command("HSET", partition.state, "@nonce", "other")
    assert len(follower.poll(0.0)) == 1, "it did not compare"
    admin.command("DEL", partition.state, partition.log)
    admin.command("SET", partition.log, "not of our making")
    follower.resync(partition)
    follower.poll(0.0)
    follower.poll(0.0)
    admin.command("DEL", partition.log)


def watch(bus: Bus, admin: Bus) -> None:
    registry = Registry(bus)
    for cluster in (EAST, UNNAMED):
        registry.register(cluster)
    assert len(registry.clusters()) == 2
    _lease(bus, admin, keys.region_lease(REGION, "watcher"))
    RegionEnv(bus, REGION).write({"watcher": b"1", "gone": None}, TOKEN)
    assert RegionEnv(bus, REGION).read() == {"watcher": b"1"}
    _state(bus, admin, keys.services(EAST))


def plan(bus: Bus, admin: Bus) -> None:
    Registry(admin).register(EAST)
    assert Registry(bus).clusters() == (EAST,)
    _follow(bus, admin, keys.services(EAST))
    _lease(bus, admin, keys.cluster_lease(EAST))
    _state(bus, admin, keys.plan(EAST))
    # What proxies say, and what is held for it.
    news = OutcomeNews(bus)
    news.poll([EAST])
    log = OutcomeLog(bus)
    log.since(EAST)
    Outcomes(admin).publish(EAST, Outcome(proxy="p1", extension="nginx"))
    assert [o.proxy for o in log.since(EAST)] == ["p1"]
    assert [o.proxy for o in news.poll([EAST]).get(EAST, ())] == ["p1"]
    held = HeldPolicies(bus, EAST)
    held.write({"a.com": Held(), "b.com": Held()}, TOKEN)
    held.write({"a.com": None}, TOKEN)
    assert held.read() == {"b.com": Held()}


def serve(bus: Bus, admin: Bus) -> None:
    _follow(bus, admin, keys.plan(EAST))
    RegionEnv(admin, REGION).write({"watcher": b"1"}, TOKEN)
    assert RegionEnv(bus, REGION).field("watcher") == b"1"
    outcomes = Outcomes(bus, retention=Retention(most_bytes=1_000))
    admin.command("HSET", keys.outcomes(EAST), "forgotten", "1:")
    for n in range(40):
        outcomes.publish(EAST, Outcome(proxy="p1", extension="nginx", reason=f"{n}" * 100))
    assert [o.proxy for o in outcomes.live(EAST)] == ["p1"]
    assert admin.command("XLEN", f"{keys.outcomes(EAST)}:log") < 40
    assert admin.command("HKEYS", keys.outcomes(EAST)) == [b"p1"]


def share(bus: Bus, admin: Bus) -> None:
    Registry(admin).register(EAST)
    assert Registry(bus).clusters() == (EAST,)
    admin.command("SET", keys.pool_members(REGION, "f5"), "not of our making")
    members = PoolMembers(bus, REGION, "f5")
    assert members.stay("w1") == ("w1",)
    members.leave("w1")
    assert members.stay("w2") == ("w2",)
    _lease(bus, admin, keys.pool_lease(EAST, "f5"))
    assert holders(bus, [keys.pool_lease(EAST, "f5")]) == {}
    serve(bus, admin)


def look(bus: Bus, admin: Bus) -> None:
    Registry(admin).register(EAST)
    RegionEnv(admin, REGION).write({"watcher": b"1"}, TOKEN)
    for partition in (keys.services(EAST), keys.plan(EAST)):
        StateWriter(admin, partition).replace({"problem:a": b"1"}, token=TOKEN, trail=TRAIL)
    Outcomes(admin).publish(EAST, Outcome(proxy="p1", extension="nginx"))
    status = view.status(bus)
    assert [(c.complete, c.services, len(c.proxies)) for c in status.clusters] == [(True, 1, 1)]
    assert view.routes(bus) == ()


WORK = {"watcher": watch, "planner": plan, "proxy-east": serve, "pool-f5": share, "operator": look}


@pytest.mark.parametrize("user", WORK)
def test_each_role_does_its_whole_work(guarded: Guarded, user: str) -> None:
    WORK[user](guarded.bus(user), guarded.admin)


def _spare(user: acl.User) -> set[str]:
    """What connecting takes, and what the operator has for `interlock doctor` and for looking around by hand."""
    names = "auth hello ping select client|setname acl|whoami eval"
    patterns: set[str] = set()
    if user.name == "operator":
        names += " hmget hget hlen xrange xrevrange xlen type info"
        patterns = {rule for rule in user.rules if rule.startswith("%R~") and ("lease" in rule or "log" in rule)}
    return {"-@all", *(f"+{name}" for name in names.split()), *patterns}


@pytest.mark.parametrize("user", WORK)
def test_no_role_may_do_more_than_its_work_takes(guarded: Guarded, user: str) -> None:
    """Whatever one takes from a role, its work fails: so there is nothing to take."""
    [found] = [u for u in USERS if u.name == user]
    needless = []
    for rule in (r for r in found.rules if r not in _spare(found)):
        guarded.fresh()
        left = [r for r in found.rules if r != rule]
        guarded.admin.command("ACL", "SETUSER", user, "resetkeys", "clearselectors", *left)
        try:
            WORK[user](guarded.bus(user), guarded.admin)
        except (InterlockError, AssertionError):
            continue
        needless.append(rule)
    assert needless == []


def _run(*names: str) -> tuple[str, ...]:
    """A script on these keys that does nothing: the server asks whether it may before it starts."""
    return ("EVAL", "return 1", str(len(names)), *names)


REFUSED: list[tuple[str, tuple[str, ...]]] = [
    *(("proxy-east", ("HGETALL", keys.plan(c).state)) for c in (WEST, UNNAMED, Cluster("us", "east"))),
    *(("proxy", ("XREAD", "STREAMS", keys.plan(c).log, "0")) for c in (EAST, WEST)),
    ("proxy-east", ("HSET", keys.plan(EAST).state, "host:a", "b")),
    ("proxy-east", ("XADD", keys.plan(EAST).log, "*", "a", "b")),
    ("proxy-east", _run(*StateWriter.partition_keys(StateWriter(Bus("unix:///none"), keys.plan(EAST))))),
    ("proxy-east", _run(keys.outcomes(WEST))),
    ("proxy-east", ("HGETALL", keys.services(EAST).state)),
    ("proxy-east", ("HKEYS", keys.CLUSTERS)),
    ("watcher", ("HSET", keys.plan(EAST).state, "host:a", "b")),
    ("watcher", ("HGETALL", keys.plan(EAST).state)),
    ("watcher", _run(keys.plan(EAST).state)),
    ("watcher", _run(keys.cluster_lease(EAST))),
    ("watcher", ("HDEL", keys.CLUSTERS, str(EAST))),
    ("watcher", ("DEL", keys.CLUSTERS)),
    ("watcher", _run(keys.env("us"))),
    ("watcher", _run(keys.services(Cluster("us", "east")).state)),
    ("planner", ("HSET", keys.services(EAST).state, "a", "b")),
    ("planner", ("XTRIM", keys.services(EAST).log, "MAXLEN", "0")),
    ("planner", _run(keys.services(EAST).fence)),
    ("planner", _run(keys.env(REGION))),
    ("planner", _run(keys.region_lease(REGION, "watcher"))),
    ("planner", ("HSET", keys.CLUSTERS, "a", "b")),
    ("planner", ("HSET", keys.outcomes(EAST), "a", "b")),
    ("planner", ("XTRIM", f"{keys.outcomes(EAST)}:log", "MAXLEN", "0")),
    ("pool-f5", ("HSET", keys.plan(EAST).state, "host:a", "b")),
    ("pool-f5", ("HGETALL", keys.services(EAST).state)),
    ("pool-f5", ("HGETALL", keys.plan(Cluster("us", "east")).state)),
    ("pool-f5", ("HSETNX", keys.CLUSTERS, "a", "b")),
    *(("pool-f5", _run(key)) for key in (
        keys.cluster_lease(EAST), keys.pool_lease(EAST, "other"), keys.region_lease(REGION, "watcher"),
        keys.pool_members(REGION, "other"), keys.env(REGION),
    )),
    ("planner", _run(keys.pool_lease(EAST, "f5"))),
    *((user, ("HGETALL", keys.held(EAST))) for user in ("watcher", "proxy-east", "operator")),
    ("proxy-east", ("HSET", keys.held(EAST), "a", "b")),
    *(("operator", _run(name)) for name in (keys.CLUSTERS, keys.env(REGION), keys.plan(EAST).state)),
    *(("operator", ("HSET", name, "a", "b")) for name in (keys.CLUSTERS, keys.outcomes(EAST), keys.env(REGION))),
    ("operator", ("DEL", keys.CLUSTERS)),
    *((user.name, command) for user in USERS for command in (
        ("FLUSHALL",), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("KEYS", "*"), ("SCAN", "0"), ("SHUTDOWN",),
        ("MONITOR",), ("DEBUG", "SLEEP", "0"), ("SCRIPT", "FLUSH"), ("SUBSCRIBE", "a"), ("GET", "other"),
        ("FUNCTION", "LIST"), ("CLIENT", "LIST"), ("REPLICAOF", "NO", "ONE"),
    )),
]  # fmt: skip


def test_each_role_is_refused_what_is_not_its_own(guarded: Guarded) -> None:
    buses = {user.name: guarded.bus(user.name) for user in USERS}
    allowed = []
    for user, command in REFUSED:
        try:
            buses[user].command(*command)
        except BusError as error:
            assert "does not allow this to our user" in str(error), f"{user} {command}: {error}"  # noqa: PT017  # in a loop
        else:
            allowed.append((user, command))
    assert allowed == []


def test_nobody_comes_in_without_a_user_and_no_password_is_told(guarded: Guarded) -> None:
    for login in ("", "watcher:hunter2@", "default:hunter2@", "nobody:hunter2@"):
        bus = Bus.connect(guarded.server.url.replace("://", f"://{login}"))
        with pytest.raises(BusUnavailable, match="refuses our user or password") as refused:
            bus.ping()
        told, error = [], refused.value
        while error is not None:
            told.append(f"{error!r} {error}")
            error = error.__cause__ or error.__context__
        assert "hunter2" not in " ".join(told)
        bus.close()


def test_a_user_that_lacks_a_right_is_told_where_users_come_from(guarded: Guarded) -> None:
    with pytest.raises(BusError, match=r"does not allow this to our user: .*`interlock acl` writes users that may"):
        guarded.bus("operator").command("DEL", keys.CLUSTERS)
