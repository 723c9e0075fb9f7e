"""Refusals on a real bus: the planner holds the policy, tells the owner, and its successor knows both."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import msgspec
import pytest

from interlock.bus import acl, keys
from interlock.bus.connection import Bus
from interlock.bus.held import HeldPolicies
from interlock.bus.outcomes import Outcomes
from interlock.model.names import upstream_name
from interlock.model.outcome import HostRejection, Outcome
from interlock.model.problem import Problem
from interlock.model.routing import VirtualHost
from interlock.model.swarm import Service
from interlock.wire import codec
from interlock.wire.fields import policy_digest, service_bytes
from interlock_planner import holds
from support.bus_servers import Server
from support.planner_lab import Pen, always, eventually, planner, process
from support.swarm_values import LB, service, task

REASON = 'nginx refused: unknown directive "x"'
BLOG = service("blog", task("t2", "10.0.1.2"), hosts="blog.com")


def shop(*addresses: str, **labels: str) -> Service:
    tasks = (task(f"t{n}", address) for n, address in enumerate(addresses or ("10.0.1.1",)))
    return service("shop", *tasks, hosts="shop.com", **{"context_root": "/a", **labels})


class Proxies:
    """Report as workers do: what they run, and what they refuse of it."""

    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.outcomes = Outcomes(pen.bus)
        self.refusing: dict[str, tuple[HostRejection, ...]] = {}
        self.serves: dict[str, VirtualHost] = {}

    def report(self, *proxies: str) -> None:
        version = self.pen.snapshot().version
        if not self.refusing:
            self.serves = dict(self.pen.plan().hosts)
        for name in proxies or ("p1",):
            said = Outcome(
                proxy=name, extension="nginx", version=version, run="r", rejections=self.refusing.get(name, ())
            )
            self.outcomes.publish(self.pen.cluster, said, ttl=60)

    def refuse(self, proxy: str, policy: VirtualHost) -> None:
        """It refuses this policy from now on."""
        served = self.serves.get(policy.host)
        kept = policy_digest(served) if served else ""
        self.refusing[proxy] = (
            HostRejection(host=policy.host, reason=REASON, refused=policy_digest(policy), kept=kept),
        )
        self.report(proxy)


@pytest.fixture
def proxies(pen: Pen) -> Proxies:
    return Proxies(pen)


def paths(pen: Pen, host: str = "shop.com") -> list[str]:
    policy = pen.plan().hosts.get(host)
    return [route.path for route in policy.routes] if policy else []


def addresses(pen: Pen, path: str) -> list[str]:
    upstream = pen.plan().upstreams.get(upstream_name("shop.com", path))
    return [e.address for e in upstream.endpoints] if upstream else []


def problems(pen: Pen, of: Service) -> tuple[Problem, ...]:
    return pen.plan().problems.get(of.id, ())


def policies_since(pen: Pen, entry_id: str) -> Iterator[VirtualHost]:
    """Every policy of shop.com that was published after an entry of the plan's log."""
    for _, pairs in pen.bus.command("XRANGE", keys.plan(pen.cluster).log, f"({entry_id}", "+"):
        fields = {pairs[b"f%d" % n]: pairs[b"a%d" % n] for n in range(len(pairs)) if b"f%d" % n in pairs}
        if fields.get(b"host:shop.com"):
            yield codec.decode("host", fields[b"host:shop.com"], VirtualHost)


def hold(pen: Pen, proxies: Proxies) -> Service:
    """Shop's move from /a to /b is refused; the service as it is then."""
    pen.listing(shop(), BLOG)
    eventually(lambda: paths(pen) == ["/a"])
    proxies.report()
    eventually(lambda: not HeldPolicies(pen.bus, pen.cluster).read())
    moved = shop(context_root="/b")
    pen.change(moved)
    eventually(lambda: paths(pen) == ["/b"])
    proxies.refuse("p1", pen.plan().hosts["shop.com"])
    eventually(lambda: paths(pen) == ["/a"])
    return moved


def test_a_refused_policy_is_replaced_and_its_owner_is_told(server: Server, pen: Pen, proxies: Proxies) -> None:
    with planner(server.url) as running:
        moved = hold(pen, proxies)
        (problem,) = problems(pen, moved)
        assert (problem.code, problem.severity, problem.key) == ("refused", "error", LB + "context_root")
        assert REASON in problem.reason
        assert [policy.routes[0].path for policy in policies_since(pen, "0-0")] == ["/a", "/b", "/a"]
        labels = {"region": "r", "cluster": "east", "code": "refused", "severity": "error"}
        gauge = "interlock_planner_problems"
        eventually(lambda: running.metrics.registry.get_sample_value(gauge, labels) == 1)
        # Endpoints are live, neighbours go on.
        pen.change(shop("10.0.1.7", "10.0.1.8", context_root="/b"))
        eventually(lambda: addresses(pen, "/a") == ["10.0.1.7", "10.0.1.8"])
        pen.change(service("blog", task("t2", "10.0.1.2"), hosts="blog.com", context_root="/new"))
        eventually(lambda: paths(pen, "blog.com") == ["/new"])
        assert paths(pen) == ["/a"]
        # The proxy runs what is held, and says nothing of what it refused: that ends nothing.
        proxies.refusing.clear()
        proxies.report()
        always(lambda: paths(pen) == ["/a"], 0.8)
        pen.change(shop(context_root="/c"))
        eventually(lambda: paths(pen) == ["/c"] and not problems(pen, moved))
        eventually(lambda: running.metrics.registry.get_sample_value(gauge, labels) == 0)
        proxies.report()
        eventually(lambda: not HeldPolicies(pen.bus, pen.cluster).read())


def test_a_planner_that_is_killed_leaves_the_hold_to_the_next(server: Server, pen: Pen, proxies: Proxies) -> None:
    with process(server.url, "first") as first:
        moved = hold(pen, proxies)
        told = problems(pen, moved)
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    last = pen.bus.command("XREVRANGE", keys.plan(pen.cluster).log, "+", "-", "COUNT", 1)[0][0].decode()
    # While nobody plans, the service is scaled, and the only proxy is replaced by one that was never told.
    pen.change(shop("10.0.1.5", context_root="/b"))
    pen.bus.command("DEL", keys.outcomes(pen.cluster))
    with process(server.url, "second"):
        eventually(lambda: addresses(pen, "/a") == ["10.0.1.5"], within=10)
        assert problems(pen, moved) == told
        always(lambda: paths(pen) == ["/a"], 0.8)
        assert {route.path for policy in policies_since(pen, last) for route in policy.routes} <= {"/a"}
        pen.change(shop(context_root="/c"))
        eventually(lambda: paths(pen) == ["/c"] and not problems(pen, moved))


def test_a_planner_that_is_killed_before_the_refusal_leaves_what_was_accepted(
    server: Server, pen: Pen, proxies: Proxies
) -> None:
    with process(server.url, "first") as first:
        pen.listing(shop())
        eventually(lambda: paths(pen) == ["/a"], within=10)
        proxies.report()
        pen.change(shop(context_root="/b"))
        eventually(lambda: paths(pen) == ["/b"])
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    proxies.refuse("p1", pen.plan().hosts["shop.com"])
    with process(server.url, "second"):
        eventually(lambda: paths(pen) == ["/a"], within=10)
        assert [p.code for p in problems(pen, shop())] == ["refused"]


def test_a_change_that_nobody_planned_is_held_on_what_was_published(server: Server, pen: Pen, proxies: Proxies) -> None:
    with planner(server.url):
        pen.listing(shop())
        eventually(lambda: paths(pen) == ["/a"])
        proxies.report()
    pen.change(shop(context_root="/b"))
    with planner(server.url, "p2"):
        eventually(lambda: paths(pen) == ["/b"])
        proxies.refuse("p1", pen.plan().hosts["shop.com"])
        eventually(lambda: paths(pen) == ["/a"])


def test_a_hold_ends_in_a_quiet_cluster_when_its_refuser_is_gone(
    server: Server, pen: Pen, proxies: Proxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No proxy has anything new to say: one goes, the other's heartbeats go on."""
    monkeypatch.setattr(holds, "GONE_AFTER", 0.5)
    monkeypatch.setattr(holds, "LOOK_AGAIN", 0.2)
    with planner(server.url):
        hold(pen, proxies)
        proxies.report("p2")
        always(lambda: paths(pen) == ["/a"], 0.8)
        pen.bus.command("HDEL", keys.outcomes(pen.cluster), "p1")
        eventually(lambda: paths(pen) == ["/b"])


def test_a_new_host_that_is_refused_answers_503(server: Server, pen: Pen, proxies: Proxies) -> None:
    with planner(server.url):
        pen.listing(BLOG)
        eventually(lambda: paths(pen, "blog.com") == ["/"])
        proxies.report()
        pen.change(shop())
        eventually(lambda: paths(pen) == ["/a"])
        proxies.refuse("p1", pen.plan().hosts["shop.com"])
        eventually(lambda: paths(pen) == ["/"] and addresses(pen, "/") == [])
        assert "503" in problems(pen, shop())[0].reason


def test_holds_outlive_a_flush_of_the_bus_in_the_planners_memory(
    server: Server, bus: Bus, pen: Pen, proxies: Proxies
) -> None:
    with planner(server.url):
        moved = hold(pen, proxies)
        record = HeldPolicies(bus, pen.cluster).read()["shop.com"]
        bus.command("FLUSHALL")
        pen.listing(moved, BLOG)
        eventually(lambda: paths(pen) == ["/a"] and problems(pen, moved))
        assert HeldPolicies(bus, pen.cluster).read() == {"shop.com": record}


def test_a_listing_in_its_middle_ends_no_hold(server: Server, bus: Bus, pen: Pen, proxies: Proxies) -> None:
    """Services that are not all there say nothing of what a host's services want."""
    with planner(server.url):
        moved = hold(pen, proxies)
        last = bus.command("XREVRANGE", keys.plan(pen.cluster).log, "+", "-", "COUNT", 1)[0][0].decode()
        bus.command("DEL", pen.partition.state, pen.partition.log)
        marks = ["@gen", "g2", "@seq", "1", "@nonce", "n2", "@log", "0-0", "@off", "0"]
        bus.command("HSET", pen.partition.state, BLOG.id, service_bytes(BLOG), *marks)
        always(lambda: paths(pen) == ["/a"], 0.8)
        Pen(bus, pen.cluster).listing(moved, BLOG)
        pen.writer.read()
        eventually(lambda: pen.snapshot().origin == pen.writer.read().version)
        assert paths(pen) == ["/a"]
        assert problems(pen, moved)
        assert {route.path for policy in policies_since(pen, last) for route in policy.routes} <= {"/a"}
        assert HeldPolicies(bus, pen.cluster).read()["shop.com"].refused


def test_a_user_that_an_older_version_made_plans_on(server: Server, bus: Bus, pen: Pen) -> None:
    """It may neither hear proxies nor keep holds."""
    [user] = [u for u in acl.users("r", ()) if u.name == "planner"]
    older = [rule for rule in user.rules if "outcomes" not in rule and "held" not in rule]
    assert len(older) == len(user.rules) - 3
    bus.command("ACL", "SETUSER", "planner", "on", ">p", "resetkeys", "resetchannels", *older)
    began = time.monotonic()
    with planner(acl.user_url(server.url, "planner", "p")):
        pen.listing(shop(), BLOG)
        eventually(lambda: paths(pen) == ["/a"])
        pen.change(shop("10.0.1.4", context_root="/b"))
        eventually(lambda: addresses(pen, "/b") == ["10.0.1.4"])
    assert time.monotonic() - began < 5


def test_a_rejection_that_names_no_policy_holds_nothing(server: Server, pen: Pen, proxies: Proxies) -> None:
    with planner(server.url):
        pen.listing(shop())
        eventually(lambda: paths(pen) == ["/a"])
        proxies.report()
        pen.change(shop(context_root="/b"))
        eventually(lambda: paths(pen) == ["/b"])
        proxies.refuse("p1", pen.plan().hosts["shop.com"])
        eventually(lambda: paths(pen) == ["/a"])
        pen.change(shop(context_root="/c"))
        eventually(lambda: paths(pen) == ["/c"])
        # Of the former policy, as it still says; and as a worker of an older version says it.
        proxies.report()
        proxies.refusing["p1"] = tuple(
            msgspec.structs.replace(rejection, refused="") for rejection in proxies.refusing["p1"]
        )
        proxies.report()
        always(lambda: paths(pen) == ["/c"], 0.8)
