"""The server behind the bus: is it there, new enough, durable, and does it let our user do its work? Reads only."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from interlock.bus import keys
from interlock.bus.connection import Bus
from interlock.doctor.port import Ask, Check, Finding, error, ok, warning
from interlock.errors import BusError, InterlockError, NotAllowed
from interlock.model.names import Cluster

_FLOOR = (7, 0)
_CLOCK_OFF = 1.0
_NEARLY_FULL = 0.8


def run(ask: Ask) -> Iterable[Finding]:
    """Everything about the bus."""
    if not ask.bus_url:
        return [
            error(
                "bus", "no bus is named", lost="nothing is routed",
                remedy="give --bus URL or --bus-file PATH (INTERLOCK_BUS, INTERLOCK_BUS_FILE)",
            )
        ]  # fmt: skip
    try:
        bus = Bus.connect(ask.bus_url, name="interlock-doctor")
    except InterlockError as failed:
        return [error("bus", str(failed), lost="nothing is routed", remedy="correct the URL")]
    try:
        return _ask_all(bus, ask)
    finally:
        bus.close()


def _ask_all(bus: Bus, ask: Ask) -> list[Finding]:
    try:
        began = time.time()
        theirs = bus.server_time()
        ended = time.time()
    except NotAllowed as failed:
        return [_refused(str(failed))]
    except BusError as failed:
        return [
            error(
                "bus", str(failed), lost="proxies serve what they last had, and learn of no change",
                remedy="start the server, or correct --bus, --bus-file or the network between",
            )
        ]  # fmt: skip
    found = [ok("bus", f"{bus.url} answers in {1000 * (ended - began):.1f} ms"), clock(theirs - (began + ended) / 2)]
    try:
        info = bus.command("INFO")
    except NotAllowed:
        found.append(ok("bus", "version, memory and persistence: not checked, our user may not ask; the operator may"))
    else:
        found += server(info, _save_points(bus))
    return [*found, *rights(bus, ask)]


def clock(difference: float) -> Finding:
    """The server's clock less ours, in seconds."""
    if abs(difference) < _CLOCK_OFF:
        return ok("bus clock", f"{difference * 1000:+.0f} ms from ours")
    return warning(
        "bus clock", f"{difference:+.1f} s from ours",
        lost="times and drain margins that `interlock status` shows are wrong by that; routing does not depend on it",
        remedy="let both machines keep time (chrony, systemd-timesyncd)",
    )  # fmt: skip


def server(info: Mapping[str, Any], save: str | None) -> Iterator[Finding]:
    """What INFO says. `save`: the configured save points, None where that may not be asked."""
    valkey = info.get("valkey_version")
    named = f"Valkey {valkey}" if valkey else f"Redis {info.get('redis_version', '?')}"
    numbers = str(info.get("redis_version", "0.0")).split(".")[:2]
    if tuple(int(n) for n in numbers if n.isdigit()) < _FLOOR:
        yield error(
            "bus version", f"{named} is older than 7.0", lost="scripts with flags are refused: nothing is written",
            remedy="run Redis 7.0 or newer, or Valkey",
        )  # fmt: skip
    else:
        yield ok("bus version", named)
    if str(info.get("role", "master")) != "master":
        yield error(
            "bus role", "the server is a replica", lost="nothing can be written",
            remedy="give the URL of the primary",
        )  # fmt: skip
    yield from _memory(info)
    yield _persistence(info, save)


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    policy, most = str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    used = int(info.get("used_memory", 0))
    if policy != "noeviction":
        yield error(
            "bus memory", f"maxmemory-policy is {policy}",
            lost="a server that is full throws away leases, services or plans instead of refusing a write",
            remedy="set maxmemory-policy noeviction: when memory ends, logs are trimmed and state is still written",
        )  # fmt: skip
    elif most and used > most * _NEARLY_FULL:
        yield warning(
            "bus memory", f"{used / most:.0%} of maxmemory are in use",
            lost="on a full server the logs are cut to their last entries: less history",
            remedy="raise maxmemory, or give the bus a server of its own",
        )  # fmt: skip
    else:
        limit = f"{most / 2**20:.0f} MB" if most else "no limit"
        yield ok("bus memory", f"noeviction, {used / 2**20:.0f} MB in use, {limit}")


def _persistence(info: Mapping[str, Any], save: str | None) -> Finding:
    if int(info.get("aof_enabled", 0)):
        return ok("bus persistence", "every change is logged (AOF)")
    if save or int(info.get("rdb_saves", 0)):
        return ok("bus persistence", f"snapshots (RDB{f', save {save}' if save else ''})")
    seen = "neither AOF nor RDB" if save is not None else "no AOF, and no snapshot so far"
    return warning(
        "bus persistence", seen,
        lost="a restart empties the bus: it is written anew within seconds and proxies serve on, but the history of "
        "changes is gone",
        remedy="set appendonly yes, and keep the server's folder in a volume",
    )  # fmt: skip


def _save_points(bus: Bus) -> str | None:
    try:
        answer = bus.command("CONFIG", "GET", "save")
    except BusError:
        return None
    values = answer.values() if isinstance(answer, dict) else answer[1:]
    return next((v.decode() if isinstance(v, bytes) else str(v) for v in values), "")


def rights(bus: Bus, ask: Ask) -> Iterator[Finding]:
    """Whether our user may touch what its role works with. Nothing is changed: the scripts do nothing."""
    wanted = list(_needed(ask))
    if not wanted:
        return
    refused = []
    for what, command in wanted:
        try:
            bus.command(*command)
        except NotAllowed as failed:
            refused.append(f"{what} ({failed})")
        except BusError:
            # It may; what else is wrong with the key is not the matter here.
            continue
    if refused:
        yield _refused("; ".join(refused))
    else:
        yield ok("bus user", f"may do what a {ask.role} does")


def _refused(what: str) -> Finding:
    return error(
        "bus user", f"may not: {what}", lost="this role cannot do its work",
        remedy="make users with `interlock acl` for this region and service cluster, and give the URL of the role's",
    )  # fmt: skip


def _needed(ask: Ask) -> Iterator[tuple[str, tuple[str, ...]]]:
    region, cluster = ask.region or "default", Cluster(ask.region or "default", ask.cluster)
    services, plan = keys.services(cluster), keys.plan(cluster)
    match ask.role:
        case "watcher":
            yield "read the registry", ("HKEYS", keys.CLUSTERS)
            yield "write services", _script(services.state, services.log, services.fence)
            yield "write facts", _script(keys.env(region), f"{keys.env(region)}:fence")
            yield "hold the lease", _script(keys.region_lease(region, "watcher"))
        case "planner":
            yield "read the registry", ("HKEYS", keys.CLUSTERS)
            yield "read services", ("HMGET", services.state, "@gen")
            yield "write plans", _script(plan.state, plan.log, plan.fence)
            yield "hold leases", _script(keys.cluster_lease(cluster))
        case "proxy":
            yield "read the plan", ("HMGET", plan.state, "@gen")
            yield "see whether a watcher acts", ("HGET", keys.env(cluster.region), "watcher")
            yield "follow the plan", ("XREAD", "COUNT", "1", "STREAMS", plan.log, "$")
            yield "say what it runs", _script(keys.outcomes(cluster), f"{keys.outcomes(cluster)}:log")


def _script(*names: str) -> tuple[str, ...]:
    # The server asks for leave to write every key that is named before it runs the script.
    return ("EVAL", "return 1", str(len(names)), *names)


check = Check(name="bus", roles=("watcher", "planner", "proxy"), run=run)
