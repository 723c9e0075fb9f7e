"""The planner on a real bus: what it publishes, what it must not publish, and what it survives."""

from __future__ import annotations

import os
import signal
import time

import msgspec
import pytest

from interlock.bus import acl, keys
from interlock.bus.connection import Bus
from interlock.bus.follower import Follower
from interlock.bus.state import Entry, StateWriter, entry_of, snapshot_of
from interlock.errors import BusUnavailable
from interlock.model.names import Cluster, upstream_name
from interlock.model.swarm import Service
from interlock.model.version import Token
from interlock.runtime.metrics import Metrics
from interlock.wire.fields import service_bytes
from interlock.wire.trail import Trail
from interlock_planner.cluster import ClusterPlanner
from interlock_planner.counters import Counters
from interlock_planner.plan import scratch
from support.bus_servers import Server
from support.planner_lab import Pen, always, eventually, planner, process
from support.swarm_values import service, task

SHOP = service("shop", task("t1", "10.0.1.1"), hosts="shop.com")
BLOG = service("blog", task("t2", "10.0.1.2"), hosts="blog.com")
NEWER_SCHEMA = msgspec.msgpack.encode({"v": 99, "k": "service", "b": {}})


def log(bus: Bus, cluster: Cluster) -> list[Entry]:
    """The plan's log, oldest first."""
    found = []
    for entry_id, pairs in bus.command("XRANGE", keys.plan(cluster).log, "-", "+"):
        entry = entry_of(entry_id, pairs)
        assert entry is not None
        found.append(entry)
    return found


def shop_at(address: str) -> Service:
    return service("shop", task("t1", address), hosts="shop.com")


def shop_is_at(pen: Pen, address: str) -> bool:
    upstream = pen.plan().upstreams.get(upstream_name("shop.com"))
    return upstream is not None and [e.address for e in upstream.endpoints] == [address]


def test_a_change_becomes_exactly_its_difference_with_cause_and_times(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP, BLOG)
    with planner(server.url):
        eventually(lambda: pen.plan() == scratch([SHOP, BLOG]))
        assert pen.snapshot().complete
        pen.change(shop_at("10.0.1.9"))
        eventually(lambda: shop_is_at(pen, "10.0.1.9"))
    entry = log(bus, pen.cluster)[-1]
    assert [change.field for change in entry.changes] == [f"upstream:{upstream_name('shop.com')}"]
    assert [cause.id for cause in entry.trail.causes] == ["change-2"]
    hops = [entry.trail.hops[name] for name in ("seen", "received", "planned")]
    assert hops == sorted(hops)
    services = snapshot_of(bus.command("HGETALL", pen.partition.state))
    assert pen.snapshot().origin == services.version


def test_counters_tell_the_exact_number_touched(server: Server, pen: Pen) -> None:
    many = [service(f"s{n}", task(f"t{n}", "10.0.1.1"), hosts=f"h{n}.com,x{n}.com") for n in range(500)]
    pen.listing(*many)
    with planner(server.url) as running:
        eventually(lambda: len(pen.hosts()) == 1000)
        assert running.count("services_parsed_total") == 500
        assert running.count("hosts_planned_total") == 1000
        published, sent = running.count("deltas_published_total"), running.count("sent_bytes_total")
        pen.change(service("s7", task("t7", "10.0.1.7"), hosts="h7.com,elsewhere.com"))
        eventually(lambda: "elsewhere.com" in pen.hosts())
        eventually(lambda: running.count("deltas_published_total") == published + 1)
        assert running.count("services_parsed_total") == 501
        assert running.count("hosts_planned_total") == 1003
        assert running.count("sent_bytes_total") - sent < 2_000
        assert running.count("whole_plans_published_total") == 1
        assert running.metrics.registry.get_sample_value("interlock_planner_clusters") == 1


def test_problems_travel_with_the_plan(server: Server, pen: Pen) -> None:
    pen.listing(SHOP, service("bad", hosts="b.com", port="http"))
    with planner(server.url) as running:
        eventually(lambda: "id-bad" in pen.plan().problems)
        labels = {"region": "r", "cluster": "east"}
        gauge = "interlock_planner_services_with_problems"
        eventually(lambda: running.metrics.registry.get_sample_value(gauge, labels) == 1)
        pen.change(service("bad", hosts="b.com", port="80"))
        eventually(lambda: pen.plan().problems == {} and "b.com" in pen.hosts())


def test_the_last_service_removed_while_no_planner_ran(server: Server, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com"})
    pen.change(gone=SHOP.id)
    with planner(server.url):
        eventually(lambda: pen.hosts() == set())
    assert pen.snapshot().complete


def test_unknown_services_change_no_plan_and_incomplete_ones_neither(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP, BLOG)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com", "blog.com"})
        bus.command("DEL", pen.partition.state, pen.partition.log)
        always(lambda: pen.hosts() == {"shop.com", "blog.com"}, 1.5)
        # A watcher in mid-listing: one service is there, the mark is not.
        marks = ["@gen", "g2", "@seq", "1", "@nonce", "n2", "@log", "0-0", "@off", "0"]
        bus.command("HSET", pen.partition.state, SHOP.id, service_bytes(shop_at("10.9.9.9")), *marks)
        always(lambda: pen.hosts() == {"shop.com", "blog.com"} and not shop_is_at(pen, "10.9.9.9"), 1.5)
        # It writes on without having listed everything: an entry of a state that is not complete.
        watcher = Pen(bus, pen.cluster)
        watcher.change(service("new", hosts="new.com"))
        always(lambda: pen.hosts() == {"shop.com", "blog.com"}, 0.5)
        # It ends its listing: now what is gone is gone.
        watcher.listing(shop_at("10.9.9.9"))
        eventually(lambda: pen.hosts() == {"shop.com"} and shop_is_at(pen, "10.9.9.9"))


def test_a_planner_that_starts_on_unknown_services_leaves_the_plan_alone(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com"})
    bus.command("DEL", pen.partition.state, pen.partition.log)
    with planner(server.url) as running:
        eventually(lambda: running.count("clusters") == 1)
        always(lambda: pen.hosts() == {"shop.com"}, 1.5)


def test_a_frame_of_a_newer_schema_is_refused_and_the_others_go_on(server: Server, pen: Pen) -> None:
    pen.listing(SHOP, BLOG)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com", "blog.com"})
        pen.change(service("new", hosts="new.com"), raw={BLOG.id: NEWER_SCHEMA, "junk\udc80": b"\xff"})
        eventually(lambda: "new.com" in pen.hosts())
        assert pen.hosts() == {"shop.com", "blog.com", "new.com"}
        (problem,) = pen.plan().problems[BLOG.id]
        assert (problem.service, problem.key) == ("blog", "frame")
        assert "schema 99" in problem.reason
        pen.change(shop_at("10.0.1.5"))
        eventually(lambda: shop_is_at(pen, "10.0.1.5"))
    # The next planner never read it, and still withdraws nothing.
    with planner(server.url, "p2") as second:
        eventually(lambda: second.count("services_parsed_total") >= 2)
        pen.change(shop_at("10.0.1.6"))
        eventually(lambda: shop_is_at(pen, "10.0.1.6"))
        assert pen.hosts() == {"shop.com", "blog.com", "new.com"}
        assert BLOG.id in pen.plan().problems
        pen.change(BLOG, gone="junk\udc80")
        eventually(lambda: pen.plan().problems == {})
        assert pen.hosts() == {"shop.com", "blog.com", "new.com"}


def test_two_planners_share_and_a_killed_ones_clusters_are_taken_over(server: Server, bus: Bus) -> None:
    pens = [Pen(bus, Cluster("r", f"c{n}")) for n in range(6)]
    for each in pens:
        each.listing(SHOP)
    with process(server.url, "one") as one:
        for each in pens:
            eventually(lambda each=each: each.hosts() == {"shop.com"}, within=10)
        with process(server.url, "two"), planner(server.url, "three"):
            later = Pen(bus, Cluster("r", "later"))
            later.listing(SHOP)
            eventually(lambda: later.hosts() == {"shop.com"})
            # Each cluster was planned once: the others held back.
            assert [len(log(bus, each.cluster)) for each in pens] == [1] * 6
            time.sleep(0.7)
            os.kill(one.pid, signal.SIGKILL)
            killed = time.monotonic()
            for each in pens:
                each.change(shop_at("10.0.1.7"))
            for each in pens:
                eventually(lambda each=each: shop_is_at(each, "10.0.1.7"))
            assert time.monotonic() - killed < 2.0
            one.wait()


def test_a_planner_that_stops_hands_over_at_once(server: Server, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url, "two") as two, planner(server.url, "one") as one:
        eventually(lambda: one.count("clusters") + two.count("clusters") == 1)
        first, second = (one, two) if one.count("clusters") else (two, one)
        eventually(lambda: pen.hosts() == {"shop.com"})
        first.stop.set()
        first.thread.join()
        assert eventually(lambda: second.count("clusters") == 1) < 1.2
        pen.change(shop_at("10.0.1.8"))
        eventually(lambda: shop_is_at(pen, "10.0.1.8"))


def test_a_refused_token_is_outbid_and_the_plan_put_right(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com"})
        intruder = StateWriter(bus, keys.plan(pen.cluster))
        token = Token(epoch=10**14, nonce="intruder")
        intruder.fence(token)
        intruder.replace({}, token=token, trail=Trail())
        pen.change(shop_at("10.0.1.4"))
        eventually(lambda: shop_is_at(pen, "10.0.1.4"))


def test_a_plan_that_is_lost_or_overwritten_is_published_anew(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP, BLOG)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com", "blog.com"})
        generation = pen.snapshot().version
        bus.command("DEL", keys.plan(pen.cluster).state)
        eventually(lambda: pen.hosts() == {"shop.com", "blog.com"})
        renewed = pen.snapshot().version
        assert renewed
        assert generation
        assert renewed.generation != generation.generation
        # Overwritten just before a change: the change meets Diverged.
        bus.command("HSET", keys.plan(pen.cluster).state, "@nonce", "older")
        bus.command("HDEL", keys.plan(pen.cluster).state, "host:blog.com")
        pen.change(shop_at("10.0.1.4"))
        eventually(lambda: shop_is_at(pen, "10.0.1.4"), within=1.0)
        assert pen.hosts() == {"shop.com", "blog.com"}


def test_a_cluster_that_may_not_be_planned_keeps_no_other_from_its_plan(server: Server, bus: Bus, pen: Pen) -> None:
    denied = Pen(bus, Cluster(pen.cluster.region, "a-denied"))
    for each in (denied, pen):
        each.listing(SHOP)
    [user] = [u for u in acl.users(pen.cluster.region, ()) if u.name == "planner"]
    rules = [rule.replace("/*", f"/{pen.cluster.name}") if ":plan" in rule else rule for rule in user.rules]
    assert len(set(rules) - set(user.rules)) == 4
    bus.command("ACL", "SETUSER", "planner", "on", ">p", "resetkeys", "resetchannels", *rules)
    with planner(acl.user_url(server.url, "planner", "p")):
        eventually(lambda: pen.hosts() == {"shop.com"})
        for n in range(3):
            pen.change(shop_at(f"10.0.1.{n + 4}"))
            eventually(lambda n=n: shop_is_at(pen, f"10.0.1.{n + 4}"), within=1.5)
        assert denied.hosts() == set()


def test_flushall_heals_when_the_watcher_lists(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com"})
        bus.command("FLUSHALL")
        always(lambda: pen.snapshot().version is None, 0.8)
        pen.listing(BLOG)
        eventually(lambda: pen.hosts() == {"blog.com"})


def test_a_bus_that_is_away_and_comes_back_with_its_data(server: Server, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url) as running:
        eventually(lambda: pen.hosts() == {"shop.com"})
        server.stop()
        time.sleep(0.5)
        server.start()
        pen.listing(SHOP, BLOG)
        eventually(lambda: pen.hosts() == {"shop.com", "blog.com"})
        assert running.thread.is_alive()


def test_what_could_not_be_published_is_owed_until_it_can(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP)
    cluster = ClusterPlanner(bus, pen.cluster, Counters(Metrics("planner")), clock=time.time)
    token = Token(epoch=1, nonce="planner")
    follower = Follower(bus, [cluster.services])

    def take() -> None:
        cluster.take([update for _, update in follower.poll(1.0)])

    cluster.begin(token)
    take()
    cluster.publish(token)
    assert shop_is_at(pen, "10.0.1.1")
    pen.change(shop_at("10.0.1.2"), BLOG)
    take()
    server.stop()
    with pytest.raises(BusUnavailable):
        cluster.publish(token)
    server.start()
    # One more change arrives before anything can be published: the delta of the first is not forgotten for it.
    pen.writer.read()
    pen.listing(shop_at("10.0.1.3"), BLOG)
    take()
    assert cluster.owes
    cluster.publish(token)
    assert not cluster.owes
    assert shop_is_at(pen, "10.0.1.3")
    assert pen.hosts() == {"shop.com", "blog.com"}
    trail = log(bus, pen.cluster)[-1].trail
    assert {"change-2", "change-3"} <= {cause.id for cause in trail.causes}
    # Without a lease for a moment nothing is tried, and nothing forgotten either.
    pen.change(shop_at("10.0.1.4"))
    take()
    pen.change(service("new", hosts="new.com"))
    take()
    cluster.publish(token)
    assert shop_is_at(pen, "10.0.1.4")
    assert "new.com" in pen.hosts()


def test_a_planner_started_before_its_bus(server: Server, pen: Pen) -> None:
    server.stop()
    with planner(server.url):
        time.sleep(0.3)
        server.start()
        pen.listing(SHOP)
        eventually(lambda: pen.hosts() == {"shop.com"})


def test_a_burst_is_folded_and_ends_in_the_last_state(server: Server, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url):
        eventually(lambda: pen.hosts() == {"shop.com"})
        for n in range(200):
            pen.change(shop_at(f"10.0.2.{n}"))
        eventually(lambda: shop_is_at(pen, "10.0.2.199"))


def test_a_cluster_that_is_forgotten_is_given_up(server: Server, bus: Bus, pen: Pen) -> None:
    pen.listing(SHOP)
    with planner(server.url) as running:
        eventually(lambda: running.count("clusters") == 1)
        bus.command("HDEL", keys.CLUSTERS, str(pen.cluster))
        eventually(lambda: running.count("clusters") == 0)
        assert pen.hosts() == {"shop.com"}


def test_as_a_program_it_plans_its_region_serves_metrics_and_stops_in_order(server: Server, bus: Bus, pen: Pen) -> None:
    elsewhere = Pen(bus, Cluster("elsewhere", "east"))
    elsewhere.listing(SHOP)
    pen.listing(SHOP)
    with process(server.url, "one", "--region", "r", "--metrics", "127.0.0.1:0") as child:
        eventually(lambda: pen.hosts() == {"shop.com"}, within=10)
        always(lambda: elsewhere.snapshot().version is None, 0.5)
        child.terminate()
        assert child.wait(timeout=10) == 0
    # The lease was given back, not left to expire.
    assert bus.command("HGET", keys.cluster_lease(pen.cluster), "until") == b"0"
