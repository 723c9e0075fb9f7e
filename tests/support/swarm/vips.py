"""Virtual IPs that forward where the kernel has no IPVS: engines then give them, and answer them in DNS, and no more.

    with forwarding(swarm):
        …            # connections to a service's virtual IP reach its tasks in turn

A real engine keeps its IPVS rules in a sandbox of each network that it has containers on. There the stand-in puts the
virtual IPs and rules of iptables. As with IPVS, each new connection goes to the next running task, one that is under
way stays with its task, tasks see the sandbox's address as their client, and without a task it is refused. Unlike it,
rules follow a change within a few tenths of a second, a task that is to stop gets no new connection from then on (an
engine waits a second), and ports published in ingress mode are left without effect.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlock.errors import InterlockError
from interlock_simulator.client import SimulatorClient
from support.swarm.commands import run, succeeds
from support.swarm.lab import Swarm
from support.swarm.node import Node

Json = dict[str, Any]
Table = dict[str, tuple[str, ...]]
"""The addresses of running tasks by virtual IP."""

_EVERY = 0.1
_SANDBOXES = "/run/docker/netns"
_CHAIN = "IL-VIPS"


def kernel_has_ipvs() -> bool:
    """Whether engines of this machine forward virtual IPs themselves."""
    # As the engine does before its first virtual IP; where there are no modules, that says nothing.
    succeeds("sh", "-c", "modprobe ip_vs")
    return Path("/proc/net/ip_vs").exists()


@contextmanager
def forwarding(swarm: Swarm) -> Iterator[None]:
    """Within it, virtual IPs forward on every node of the swarm."""
    if kernel_has_ipvs():
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_follow, args=(swarm, stop), name="vips")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _follow(swarm: Swarm, stop: threading.Event) -> None:
    done: dict[tuple[int, str], tuple[int, Table]] = {}
    while not stop.wait(_EVERY):
        try:
            api = SimulatorClient(swarm.manager().socket, timeout=5)
            tables = tables_of(api.call("GET", "/services"), api.call("GET", "/tasks"))
        except (InterlockError, StopIteration, OSError):
            # No manager answers; the rules stay, as they do with an engine.
            continue
        for node in swarm.nodes.values():
            for network, table in tables.items():
                sandbox = f"{_SANDBOXES}/lb_{network[:9]}"
                made = _made(node, sandbox)
                # Another sandbox of the same name begins without rules.
                if made and done.get((node.number, network)) != (made, table):
                    words = (*node.inside(), "nsenter", f"--net={sandbox}", "--", "sh", "-ec", script(table))
                    try:
                        run(*words, timeout=10)
                    except AssertionError:
                        # The sandbox went a moment ago, or is about to; the next look tells.
                        continue
                    done[node.number, network] = made, table


def _made(node: Node, sandbox: str) -> int:
    """What tells this sandbox from an earlier one; 0 where there is none: the node has no container on the network."""
    try:
        return Path(f"/proc/{node.engine_pid()}/root{sandbox}").stat().st_ino
    except (OSError, KeyError):
        return 0


def tables_of(services: Iterable[Json], tasks: Iterable[Json]) -> dict[str, Table]:
    """By network: who stands behind each virtual IP, from what the Docker API says."""
    behind: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        if (task["Status"]["State"], task["DesiredState"]) != ("running", "running"):
            continue
        for place in task.get("NetworksAttachments") or ():
            addresses = [address.partition("/")[0] for address in place.get("Addresses") or ()]
            behind.setdefault((place["Network"]["ID"], task["ServiceID"]), []).extend(addresses)
    tables: dict[str, Table] = {}
    for service in services:
        for given in service["Endpoint"].get("VirtualIPs") or ():
            if address := given.get("Addr", "").partition("/")[0]:
                place = behind.get((given["NetworkID"], service["ID"]), [])
                tables.setdefault(given["NetworkID"], {})[address] = tuple(sorted(place))
    return tables


def script(table: Mapping[str, Iterable[str]]) -> str:
    """For the sandbox's shell, again and again: it has just these addresses, and these rules. Fails where it cannot."""
    rules = ["*nat", f":{_CHAIN} - [0:0]"]
    for vip, targets in sorted(table.items()):
        left = list(targets)
        while left:
            # The first of three takes each third connection, the next each second of the rest, the last what is left.
            turn = f"-m statistic --mode nth --every {len(left)} --packet 0 " if len(left) > 1 else ""
            rules.append(f"-A {_CHAIN} -d {vip}/32 {turn}-j DNAT --to-destination {left.pop(0)}")
    wanted = " ".join(sorted(table))
    lines = [
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "iptables-restore --noflush <<'END'",
        *rules,
        "COMMIT",
        "END",
        "has() { iptables -t nat -C $* 2> /dev/null || iptables -t nat -A $*; }",
        f"has PREROUTING -j {_CHAIN}",
        # The answer must come back this way.
        "has POSTROUTING -m conntrack --ctstate DNAT -j MASQUERADE",
        "for one in $(ip -4 -o addr show dev eth0 | awk '$4 ~ /[/]32$/ {print substr($4, 1, length($4) - 3)}'); do",
        f'case " {wanted} " in *" $one "*) ;; *) ip addr del $one/32 dev eth0 ;; esac',
        "done",
        # Where it is there already, or a rule names it no more, that is as wanted.
        f"for one in {wanted}; do ip addr add $one/32 dev eth0 2> /dev/null || true; done",
    ]
    return "\n".join(lines) + "\n"
