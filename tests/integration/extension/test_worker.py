"""The worker on a real bus with a real nginx: what a written plan becomes, and what it survives."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from interlock.bus import keys
from interlock.errors import ConfigError
from interlock.model.names import upstream_name
from interlock.model.routing import DEFAULT_HOST, Plan, Route, VirtualHost
from interlock.runtime.lifecycle import Lifecycle
from interlock.runtime.parts import find_nginx
from interlock.wire.fields import policy_digest
from interlock.wire.trail import Trail
from interlock_extension import blame
from interlock_extension.app import start
from interlock_extension.drains import NODE_PORT_BUDGET
from interlock_extension.machine import processes
from interlock_extension.nginx import render
from interlock_extension.nginx.control import NginxControl
from support.extension_lab import CLUSTER, TOKEN, WorkerLab, plan_of
from support.nginx_lab import Backend, Idle, ask, both, endpoint, status_of, until, upstream
from support.ports import free_port

Make = Callable[..., Backend]
A, B = "a.example", "b.example"


@both
def test_a_plan_becomes_answers_and_an_outcome(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    outcome = lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)}))
    assert ask(lab.port, A).text.startswith("one")
    assert (outcome.result, outcome.reason, outcome.hosts, outcome.endpoints) == ("reloaded", f"added {A}", 1, 1)
    assert outcome.cause == "c1"
    assert outcome.hops["seen"] <= outcome.hops["applying"] <= outcome.hops["effective"] == outcome.effective_at
    assert outcome.stale_since is None


@both
def test_a_change_costs_what_it_changes(lab: WorkerLab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    hosts = {f"h{n}.example": (endpoint(one.port, "t1"),) for n in range(50)}
    lab.start()
    before = lab.until_runs(lab.serve(hosts)).counters
    # No shared file among them.
    assert before["files_written"] == 50
    after = lab.until_runs(lab.serve({**hosts, "h7.example": (endpoint(two.port, "t1b"),)})).counters
    until(lambda: ask(lab.port, "h7.example").text.startswith("two"), "the new endpoint serves")
    after = lab.outcome().counters
    # Once without its only endpoint, at most, and once with the new one.
    assert after["files_written"] - before["files_written"] <= 2
    assert after["hosts_rendered"] - before["hosts_rendered"] <= 2
    assert 0 < after["bytes_written"] - before["bytes_written"] < 4000


def test_a_change_that_means_nothing_to_the_proxy_is_unchanged(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    reloads = lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)})).counters.get("reloads")
    plan = plan_of({A: (endpoint(one.port, "t1", service="renamed"),)})
    outcome = lab.until_runs(lab.publish(plan))
    assert outcome.result == "unchanged"
    assert outcome.counters.get("reloads") == reloads


def test_running_is_not_listening(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    port = free_port()
    lab.start()
    outcome = lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"), endpoint(port, "t2"))}))
    assert outcome.waiting == 1
    assert {ask(lab.port, A).text.split()[0] for _ in range(6)} == {"one"}
    backend("late", port)
    began = time.monotonic()
    until(lambda: ask(lab.port, A).text.startswith("late"), "the late one is admitted")
    assert time.monotonic() - began < 1.5
    until(lambda: lab.outcome().waiting == 0, "nobody waits")
    # The change that brought it is what made it effective, however late.
    assert lab.outcome().cause == "c1"


def test_a_draining_endpoint_is_let_go_with_a_margin(lab: WorkerLab, backend: Make) -> None:
    old, new = backend("old"), backend("new")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(old.port, "t1"), endpoint(new.port, "t2"))}))
    idle = Idle(lab.port)
    idle.request(A)
    since = time.time()
    version = lab.serve({A: (endpoint(old.port, "t1", draining=since), endpoint(new.port, "t2"))})
    outcome = lab.until_runs(version)
    count = len(old.seen)
    assert {ask(lab.port, A).text.split()[0] for _ in range(10)} == {"new"}
    assert idle.request(A).startswith("new")
    assert len(old.seen) == count
    [drain] = outcome.drains
    assert (drain.task, drain.desired_at) == ("t1", since)
    # The lab's endpoints are on no network.
    assert 0.0 < drain.margin < NODE_PORT_BUDGET
    assert drain.margin == pytest.approx(NODE_PORT_BUDGET - (drain.let_go_at - since))
    assert outcome.drain_misses == 0
    idle.close()


def test_a_drain_that_was_too_late_is_counted(lab: WorkerLab, backend: Make) -> None:
    old, new = backend("old"), backend("new")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(old.port, "t1"), endpoint(new.port, "t2"))}))
    late = endpoint(old.port, "t1", draining=time.time() - 5)
    outcome = lab.until_runs(lab.serve({A: (late, endpoint(new.port, "t2"))}))
    assert outcome.drain_misses == 1
    assert outcome.drains[0].margin < -2.9


def test_the_last_one_that_accepts_is_kept_until_another_does(lab: WorkerLab, backend: Make) -> None:
    old = backend("old")
    port = free_port()
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(old.port, "t1"),)}))
    drained = endpoint(old.port, "t1", draining=time.time())
    lab.until_runs(lab.serve({A: (drained, endpoint(port, "t2"))}))
    assert ask(lab.port, A).text.startswith("old")
    backend("new", port)
    until(lambda: ask(lab.port, A).text.startswith("new"), "the new one takes over")
    until(lambda: len(lab.outcome().drains) == 1, "the old one is let go")
    count = len(old.seen)
    assert {ask(lab.port, A).text.split()[0] for _ in range(5)} == {"new"}
    assert len(old.seen) == count


@pytest.fixture
def silent() -> Iterator[Callable[[], int]]:
    """Ports where a connection is neither taken nor refused: their queue is full."""
    links: list[socket.socket] = []

    def make() -> int:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        links.append(listener)
        port = int(listener.getsockname()[1])
        for _ in range(4):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex(("127.0.0.1", port))
            links.append(link)
        return port

    yield make
    for link in links:
        link.close()


def test_a_removal_does_not_wait_for_an_admission(lab: WorkerLab, backend: Make, silent: Callable[[], int]) -> None:
    one, two = backend("one"), backend("two")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"), endpoint(two.port, "t2"))}))
    began = time.monotonic()
    mute = endpoint(silent(), "t3")
    drained = endpoint(one.port, "t1", draining=time.time())
    lab.until_runs(lab.serve({A: (drained, endpoint(two.port, "t2"), mute)}))
    assert time.monotonic() - began < 0.9
    assert {ask(lab.port, A).text.split()[0] for _ in range(6)} == {"two"}


def test_a_removal_in_a_snapshot_does_not_wait_for_what_refuses(lab: WorkerLab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    refusing = endpoint(free_port(), "t3")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"), endpoint(two.port, "t2"), refusing)}))
    # The whole plan is read again after that.
    lab.bus.command("FLUSHALL")
    lab.writer.fence(TOKEN)
    began = time.monotonic()
    lab.until_runs(lab.serve({A: (endpoint(two.port, "t2"), refusing)}))
    assert time.monotonic() - began < 0.9
    assert {ask(lab.port, A).text.split()[0] for _ in range(6)} == {"two"}


def test_what_cannot_be_brought_into_effect_is_told_and_tried_again(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    before = lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)}))
    folder, aside = lab.state / "nginx" / "hosts", lab.state / "nginx" / "aside"
    folder.rename(aside)
    # A folder that is only gone is made again.
    folder.touch()
    version = lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)})
    until(lambda: (o := lab.outcome()) is not None and o.result == "rejected", "it is told")
    told = lab.outcome()
    assert told.reason.startswith("not in effect: ")
    assert str(folder.name) in told.reason
    assert before.version.same(told.version)
    assert status_of(lab.port, A) == 200
    folder.unlink()
    aside.rename(folder)
    assert lab.until_runs(version).result == "reloaded"
    assert status_of(lab.port, B) == 200


def test_a_host_without_endpoints_answers_503(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)}))
    lab.until_runs(lab.serve({A: (), B: (endpoint(one.port, "t1"),)}))
    assert (status_of(lab.port, A), status_of(lab.port, B)) == (503, 200)
    lab.until_runs(lab.serve({B: (endpoint(one.port, "t1"),)}))
    assert lab.outcome().hosts == 1


def test_changes_that_arrive_meanwhile_are_folded(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    reloads = lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)})).counters.get("reloads", 0)
    hosts = {A: (endpoint(one.port, "t1"),)}
    for n in range(40):
        hosts[f"h{n}.example"] = (endpoint(one.port, "t1"),)
        version = lab.serve(hosts)
    lab.until_runs(version)
    assert ask(lab.port, "h39.example").status == 200
    until(lambda: lab.outcome().counters.get("reloads", 0) > reloads, "the gauges are read")
    assert lab.outcome().counters["reloads"] - reloads < 20


def duplicate_routes(host: str) -> VirtualHost:
    """What nginx refuses although every value is well escaped."""
    route = Route(path="/x", upstream=upstream_name(host))
    return VirtualHost(host=host, routes=(route, route))


@both
def test_a_refused_host_harms_nobody(lab: WorkerLab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start()
    good = plan_of({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)})
    lab.until_runs(lab.publish(good))
    third = plan_of({"c.example": (endpoint(two.port, "t2"),)})
    bad = Plan(
        hosts={**good.hosts, **third.hosts, A: duplicate_routes(A)}, upstreams={**good.upstreams, **third.upstreams}
    )
    outcome = lab.until_runs(lab.publish(bad))
    [rejection] = outcome.rejections
    assert rejection.host == A
    assert "duplicate location" in rejection.reason
    # Exact, for the planner: which policy, and which one is served instead.
    assert rejection.refused == policy_digest(bad.hosts[A])
    assert rejection.kept == policy_digest(good.hosts[A])
    assert ask(lab.port, A).text.startswith("one")
    until(lambda: ask(lab.port, "c.example").text.startswith("two"), "the new host is served")
    # Held is policy, never addresses: the refused host's endpoints follow.
    moved = {**bad.upstreams, **plan_of({A: (endpoint(two.port, "t9"),)}).upstreams}
    lab.until_runs(lab.publish(Plan(hosts=bad.hosts, upstreams=moved)))
    until(lambda: ask(lab.port, A).text.startswith("two"), "the endpoints follow")
    assert [r.host for r in lab.outcome().rejections] == [A]
    # Mended, it is no longer held.
    lab.until_runs(lab.publish(Plan(hosts={**bad.hosts, A: good.hosts[A]}, upstreams=moved)))
    assert lab.outcome().rejections == ()


@both
def test_a_refused_new_host_answers_503_and_the_default_does_not(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    good = plan_of({DEFAULT_HOST: (endpoint(one.port, "t1"),)})
    lab.until_runs(lab.publish(good))
    assert ask(lab.port, A).text.startswith("one")
    new = plan_of({A: (endpoint(one.port, "t2"),)})
    hosts = {**good.hosts, A: duplicate_routes(A)}
    lab.until_runs(lab.publish(Plan(hosts=hosts, upstreams={**good.upstreams, **new.upstreams})))
    assert status_of(lab.port, A) == 503
    assert ask(lab.port, B).text.startswith("one")
    [rejection] = lab.outcome().rejections
    assert rejection.refused == policy_digest(hosts[A])


def test_a_host_without_endpoints_is_untried_until_it_is_served(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    port = free_port()
    lab.start()
    plan = plan_of({A: (endpoint(port, "t1"),), B: (endpoint(one.port, "t2"),)})
    refused = Plan(hosts={**plan.hosts, A: duplicate_routes(A)}, upstreams=plan.upstreams)
    outcome = lab.until_runs(lab.publish(plan))
    assert outcome.untried == (A,)
    # Nor is it what a planner could fall back on.
    outcome = lab.until_runs(lab.publish(refused))
    assert [(r.host, r.kept) for r in outcome.rejections] == [(A, "")]
    lab.until_runs(lab.publish(plan))
    backend("two", port)
    until(lambda: lab.outcome().untried == (), "it is served")
    outcome = lab.until_runs(lab.serve({A: (), B: (endpoint(one.port, "t2"),)}))
    assert outcome.untried == (A,)
    # It was served once, which is enough.
    outcome = lab.until_runs(lab.publish(refused))
    assert [(r.host, r.kept) for r in outcome.rejections] == [(A, policy_digest(plan.hosts[A]))]
    assert outcome.untried == (A,)
    assert lab.until_runs(lab.serve({B: (endpoint(one.port, "t2"),)})).untried == ()


def test_a_refusal_of_the_main_file_is_said_of_no_hosts_policy(
    lab: WorkerLab, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever changed at that moment is held back here, by a guess, and nowhere else."""
    main = render.NginxRenderer._render_main

    def refused_from_two_on(self: render.NginxRenderer, hosts: int, longest: int, **how: bool) -> bytes:
        return main(self, hosts, longest, **how) + (b"not_a_directive;\n" if hosts > 1 else b"")

    monkeypatch.setattr(render.NginxRenderer, "_render_main", refused_from_two_on)
    monkeypatch.setattr(blame, "GUESS", 1.0)
    one = backend("one")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)}))
    lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t2"),)})
    until(lambda: lab.outcome().rejections, "it is refused")
    [rejection] = lab.outcome().rejections
    assert "not_a_directive" in rejection.reason
    assert (rejection.host, rejection.refused) == (B, "")
    assert ask(lab.port, A).text.startswith("one")
    # A guess is not believed for ever.
    monkeypatch.setattr(render.NginxRenderer, "_render_main", main)
    until(lambda: status_of(lab.port, B) == 200, "it is tried again")
    until(lambda: lab.outcome().rejections == (), "it is no longer refused")


def test_what_an_operator_broke_is_nobodys_fault_and_keeps_no_endpoint_once_it_is_mended(
    lab: WorkerLab, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swarm gives addresses again: who left the plan must not be served for as long as a worker lives."""
    # Who mends it between a refusal and the look at whose fault it was has the worker guess.
    monkeypatch.setattr(blame, "GUESS", 1.0)
    included = lab.folder / "included.conf"
    included.write_text("gzip on;\n")
    lab.more_options = {"HTTPOptions": [f"include {included};"]}
    old, new = backend("old"), backend("new")
    lab.start()
    before = lab.until_runs(lab.serve({A: (endpoint(old.port, "t1"), endpoint(new.port, "t2"))}))
    included.write_text("gzipp on;\n")
    version = lab.serve({A: (endpoint(new.port, "t2"),)})
    until(lambda: lab.outcome().result == "rejected", "it is told")
    time.sleep(1.0)
    told = lab.outcome()
    assert "gzipp" in told.reason
    assert (told.result, told.rejections) == ("rejected", ())
    assert before.version.same(told.version)
    included.write_text("gzip off;\n")
    lab.until_runs(version)
    count = len(old.seen)
    assert {ask(lab.port, A).text.split()[0] for _ in range(10)} == {"new"}
    assert len(old.seen) == count


def test_a_change_that_keeps_who_left_the_plan_is_not_in_effect(
    lab: WorkerLab, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that a user's template includes into each host: hosts are blamed for it, by a guess."""
    monkeypatch.setattr(blame, "GUESS", 1.0)
    included, template = lab.folder / "included.conf", lab.folder / "template.conf"
    included.write_text("gzip on;\n")
    template.write_text(f"{{% extends base %}}{{% block server %}}include {included};\n{{% endblock %}}")
    lab.template = str(template)
    old, new = backend("old"), backend("new")
    lab.start()
    before = lab.until_runs(lab.serve({A: (endpoint(old.port, "t1"), endpoint(new.port, "t2"))}))
    included.write_text("gzipp on;\n")
    version = lab.serve({A: (endpoint(new.port, "t2"),)})
    until(lambda: f"not in effect: {A}" in lab.outcome().reason, "it is told")
    told = lab.outcome()
    assert told.result == "rejected"
    assert before.version.same(told.version)
    assert [(r.host, r.refused) for r in told.rejections] == [(A, "")]
    included.write_text("gzip off;\n")
    lab.until_runs(version)
    assert {ask(lab.port, A).text.split()[0] for _ in range(10)} == {"new"}
    until(lambda: lab.outcome().rejections == (), "it is no longer refused")


def test_endpoints_that_are_refused_are_not_tried_for_ever(
    lab: WorkerLab, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zone that is always too small stands for whatever makes nginx refuse endpoints."""
    monkeypatch.setattr(render, "zone_size", lambda _servers, _least: 32)
    one, two = backend("one"), backend("two")
    many = tuple(endpoint(backend(f"m{n}").port, f"m{n}") for n in range(16))
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"), endpoint(two.port, "t2"))}))
    hosts = {A: (endpoint(one.port, "t1"), *many), B: (endpoint(two.port, "t2"),)}
    lab.until_runs(lab.serve(hosts))
    until(lambda: [r.host for r in lab.outcome().rejections] == [A], "the host is refused")
    assert "no memory in upstream zone" in lab.outcome().rejections[0].reason
    # What is gone is let go all the same, and the neighbour is served.
    served = {ask(lab.port, A).text.split()[0] for _ in range(20)}
    assert "one" in served
    assert "two" not in served
    until(lambda: status_of(lab.port, B) == 200, "the neighbour is served")
    tried = (lab.folder / "error.log").read_text().count("no memory")
    hosts["c.example"] = (endpoint(two.port, "t2"),)
    lab.until_runs(lab.serve(hosts))
    assert (lab.folder / "error.log").read_text().count("no memory") == tried
    # Mended, nothing is held.
    lab.until_runs(lab.serve({**hosts, A: (endpoint(two.port, "t2"),)}))
    until(lambda: lab.outcome().rejections == (), "nothing is refused")
    assert ask(lab.port, A).text.startswith("two")


def test_a_host_that_a_start_refuses_counts_no_endpoints(
    lab: WorkerLab, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = backend("one")
    many = tuple(endpoint(backend(f"m{n}").port, f"m{n}") for n in range(16))
    lab.start()
    lab.until_runs(lab.serve({A: many, B: (endpoint(one.port, "t1"),)}))
    until(lambda: lab.outcome().endpoints == 17, "all are in use")
    lab.stop()
    monkeypatch.setattr(render, "zone_size", lambda _servers, _least: 32)
    version = lab.serve({B: (endpoint(one.port, "t1"),)})
    lab.start()
    lab.until_runs(version)
    assert lab.outcome().endpoints == 1
    assert (status_of(lab.port, A), status_of(lab.port, B)) == (503, 200)


def test_a_host_that_cannot_be_written_safely_harms_nobody(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    evil = "evil.example; } http {"
    good = plan_of({A: (endpoint(one.port, "t1"),)})
    plan = Plan(
        hosts={**good.hosts, evil: VirtualHost(host=evil, routes=(Route(upstream="u_evil"),))},
        upstreams={
            **good.upstreams,
            "u_evil": type(upstream(A, ()))(name="u_evil", endpoints=(endpoint(one.port, "t1"),)),
        },
    )
    outcome = lab.until_runs(lab.publish(plan))
    assert ask(lab.port, A).status == 200
    assert [r.host for r in outcome.rejections] == [evil]


@pytest.mark.parametrize("adopted", [False, True], ids=["started", "adopted"])
def test_a_host_that_a_new_template_cannot_write_keeps_its_claim(
    lab: WorkerLab, backend: Make, *, adopted: bool
) -> None:
    one, two = backend("one"), backend("two")
    mine, others = "mine.shop.test", "*.shop.test"
    hosts = {mine: (endpoint(one.port, "t1"),), others: (endpoint(two.port, "t2"),)}
    lab.keep_proxy = adopted
    lab.start()
    version = lab.until_runs(lab.serve(hosts)).version
    assert ask(lab.port, mine).text.startswith("one")
    template = lab.folder / "template.conf"
    unsafe = f'{{% if host == "{mine}" %}}{{{{ host }}}}{{% endif %}}'
    template.write_text(f"{{% extends base %}}{{% block server %}}{unsafe}{{% endblock %}}")
    lab.stop()
    lab.template = str(template)
    lab.start()
    lab.until_runs(version)
    until(lambda: [r.host for r in lab.outcome().rejections] == [mine], "it is told")
    # What runs stays where it does, and nobody answers in its place where it does not.
    assert (status_of(lab.port, mine), status_of(lab.port, "any.shop.test")) == (200 if adopted else 503, 200)
    lab.until_runs(lab.serve({**hosts, B: (endpoint(two.port, "t2"),)}))
    lab.until_runs(lab.serve({mine: (endpoint(one.port, "t9"),), others: hosts[others]}))
    assert (status_of(lab.port, mine), status_of(lab.port, "any.shop.test")) == (503, 200)


def test_an_incomplete_or_missing_plan_changes_nothing(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    version = lab.serve({A: (endpoint(one.port, "t1"),)})
    lab.until_runs(version)
    lab.bus.command("FLUSHALL")
    until(lambda: (o := lab.outcome()) is not None and o.stale_since is not None, "it is stale", 15)
    assert ask(lab.port, A).status == 200
    lab.writer.fence(TOKEN)
    again = lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)})
    lab.until_runs(again)
    assert lab.outcome().stale_since is None
    assert ask(lab.port, B).status == 200


def test_a_field_that_cannot_be_read_keeps_what_it_was(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    plan = plan_of({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)})
    lab.until_runs(lab.publish(plan))
    version = lab.writer.write({f"host:{A}": b"\xc1 nonsense", f"host:{B}": None}, token=TOKEN, trail=Trail())
    assert version is not None
    outcome = lab.until_runs(version)
    assert (status_of(lab.port, A), status_of(lab.port, B)) == (200, 503)
    assert f"host:{A}" in outcome.reason
    # Nor does a worker that finds it so at its start lose what was last good.
    lab.stop()
    lab.start()
    lab.until_runs(version)
    until(lambda: f"host:{A}" in lab.outcome().reason, "it says so")
    assert status_of(lab.port, A) == 200


@both
def test_it_starts_from_last_good_with_the_bus_away(lab: WorkerLab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start()
    version = lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)})
    lab.until_runs(version)
    lab.stop()
    assert status_of(lab.port, A) == 0
    lab.server.close()
    began = time.monotonic()
    lab.lifecycle = Lifecycle("extension", signals=False)
    start(lab.options(), lab.lifecycle)
    until(lambda: status_of(lab.port, A) == 200, "last good is served", 3)
    assert time.monotonic() - began < 1.5
    assert status_of(lab.port, B) == 200
    lab.server.run()
    until(lambda: (o := lab.outcome()) is not None and version.same(o.version), "the bus is back")
    lab.until_runs(lab.serve({A: (endpoint(two.port, "t2"),)}))
    until(lambda: ask(lab.port, A).text.startswith("two"), "it catches up")
    assert status_of(lab.port, B) == 503


def test_a_bus_that_goes_away_is_reported_when_it_is_back(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)}))
    lab.server.close()
    time.sleep(0.3)
    assert ask(lab.port, A).status == 200
    lab.server.run()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)}))
    assert status_of(lab.port, B) == 200
    assert lab.outcome().stale_since is None


@both
def test_a_killed_nginx_is_back_within_a_second(lab: WorkerLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)}))
    before = lab.master
    os.kill(before, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: lab.master not in {None, before} and status_of(lab.port, A) == 200, "nginx is back", 5)
    assert time.monotonic() - began < 1.0
    until(lambda: lab.outcome().counters.get("starts") == 2.0, "it is counted")


def test_an_nginx_that_somebody_started_with_other_files_is_put_right_at_once(
    lab: WorkerLab, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the next whole plan, which may be hours away."""
    one, two = backend("one"), backend("two")
    lab.start()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)}))
    folder = (lab.state / "nginx").resolve()
    start_, by_hand = NginxControl.start, []

    def start_after_somebody(self: NginxControl, files: Mapping[str, bytes]) -> str:
        file = folder / "hosts" / f"{A}.conf"
        file.write_bytes(file.read_bytes().replace(str(one.port).encode(), str(two.port).encode()))
        for name in (render.STATUS_SOCKET, render.HANDOVER_SOCKET):
            (folder / name).unlink()
        command = [str(find_nginx(None).path), "-p", str(folder), "-c", "nginx.conf"]
        by_hand.append(subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until(lambda: status_of(lab.port, A) == 200, "it answers")
        return start_(self, files)

    monkeypatch.setattr(NginxControl, "start", start_after_somebody)
    before = lab.master
    for pid in (before, *processes.children(before)):
        os.kill(pid, signal.SIGKILL)
    until(lambda: lab.master not in {None, before}, "another runs")
    until(lambda: lab.outcome().reason == "files differ from what was last proven", "it is put right")
    monkeypatch.undo()
    assert len(by_hand) == 1
    assert {ask(lab.port, A).text.split()[0] for _ in range(5)} == {"one"}
    lab.stop()
    by_hand[0].wait(5)


def test_a_proxy_that_runs_something_else_is_given_everything_anew(lab: WorkerLab, backend: Make) -> None:
    """Somebody edits files and reloads by hand."""
    one, two = backend("one"), backend("two")
    lab.start()
    version = lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)})
    lab.until_runs(version)
    until(lambda: lab.outcome().waiting == 0, "all are in use")
    folder = (lab.state / "nginx").resolve()
    written = {path: path.read_bytes() for path in folder.glob("hosts/*.conf")}
    assert len(written) == 2
    for path, data in written.items():
        path.write_bytes(data.replace(str(one.port).encode(), str(two.port).encode()))
    (folder / "generation.conf").write_bytes(b'# by hand\nmap "" $il_version { default "somebody"; }\n')
    generation = (folder / "generation.conf").read_bytes()
    os.kill(lab.master, signal.SIGHUP)
    until(lambda: lab.outcome().reason.startswith("the proxy runs something else"), "it is told")
    outcome = lab.outcome()
    assert outcome.result == "reloaded"
    assert version.same(outcome.version)
    assert {path: path.read_bytes() for path in written} == written
    assert (folder / "generation.conf").read_bytes() != generation
    assert {ask(lab.port, host).text.split()[0] for host in (A, B) for _ in range(5)} == {"one"}
    reloads = lab.outcome().counters["reloads"]
    time.sleep(2.5)
    # Once.
    assert lab.outcome().counters["reloads"] <= reloads + 1


def test_a_killed_worker_leaves_nginx_serving_and_the_next_adopts_it(lab: WorkerLab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.spawn()
    version = lab.serve({A: (endpoint(one.port, "t1"),)})
    lab.until_runs(version)
    master = lab.master
    lab.kill()
    assert ask(lab.port, A).status == 200
    lab.spawn()
    until(lambda: "how=adopted" in lab.log, "nginx is adopted")
    until(lambda: (o := lab.outcome()) is not None and o.result == "unchanged" and o.counters.get("starts") == 0.0,
          "the new worker says what runs")  # fmt: skip
    assert lab.master == master
    outcome = lab.outcome()
    assert version.same(outcome.version)
    # Nothing had changed, so there was nothing to reload.
    assert outcome.counters["reloads"] == 0.0
    lab.until_runs(lab.serve({A: (endpoint(two.port, "t2"),)}))
    until(lambda: ask(lab.port, A).text.startswith("two"), "it goes on")
    assert lab.master == master
    assert lab.terminate() == 0
    assert status_of(lab.port, A) == 0
    assert lab.master is None


def test_what_changed_while_no_worker_lived_is_caught_up(lab: WorkerLab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.spawn()
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),), B: (endpoint(one.port, "t1"),)}))
    lab.kill()
    version = lab.serve({A: (endpoint(two.port, "t2"),)})
    answers: list[int] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            answers.append(status_of(lab.port, A))
            time.sleep(0.01)

    thread = threading.Thread(target=load)
    thread.start()
    lab.spawn()
    lab.until_runs(version)
    stop.set()
    thread.join()
    assert ask(lab.port, A).text.startswith("two")
    assert status_of(lab.port, B) == 503
    assert set(answers) == {200}


def test_two_workers_must_not_share_a_folder(lab: WorkerLab) -> None:
    lab.start()
    other = Lifecycle("extension", signals=False)
    with pytest.raises(ConfigError, match="in use by another worker"):
        start(lab.options(), other)
    other.close()


def test_the_plan_is_that_of_its_cluster(lab: WorkerLab) -> None:
    assert keys.plan(CLUSTER).state == "il:{test/~}:plan"
