"""A stale bus and addresses that came to another: the worker, its nginx, a real bus and a name server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from interlock.bus.env import RegionEnv
from interlock.inspection.view import WATCHER
from interlock.model.region import WatcherStatus
from interlock.model.routing import Endpoint
from interlock.wire import codec
from interlock_extension import watcher_liveness
from interlock_extension.watcher_liveness import WatcherLiveness
from support.dns_server import DnsServer
from support.extension_lab import TOKEN, WorkerLab
from support.nginx_lab import Backend, ask, endpoint, status_of, until
from support.ports import free_port

Make = Callable[..., Backend]
A, B = "a.example", "b.example"
FIRST, SECOND, THIRD = "127.0.5.7", "127.0.5.8", "127.0.5.9"
ALL = (FIRST, SECOND, THIRD)


def task(number: int) -> str:
    return f"iwuvsijp4jwt06w29fbbiexz{number}"


def place(address: str, port: int, number: int, service: str) -> Endpoint:
    return msgspec.structs.replace(endpoint(port, task(number), service=service), address=address, network="web")


@pytest.fixture
def names(lab: WorkerLab) -> Iterator[DnsServer]:
    with DnsServer() as server:
        # As on a node without a way out, where Docker finds nobody to ask for what it does not know.
        server.silent_about_unknown = True
        server.owners["127.0.0.1"] = ("gate.web.",)
        lab.dns = server.option
        yield server
        lab.close()


def serve(lab: WorkerLab, names: DnsServer, backend: Make) -> tuple[int, list[Backend]]:
    """Service shop at A has two tasks, blog at B one, all on one port."""
    port = free_port()
    made = [backend(name, port, address) for name, address in zip(("shop1", "shop2", "blog1"), ALL, strict=True)]
    names.tasks("shop", "web", [(FIRST, task(1)), (SECOND, task(2))])
    names.tasks("blog", "web", [(THIRD, task(3))])
    lab.start()
    lab.until_runs(
        lab.serve({
            A: (place(FIRST, port, 1, "shop"), place(SECOND, port, 2, "shop")),
            B: (place(THIRD, port, 3, "blog"),),
        })
    )  # fmt: skip
    until(lambda: {said(lab, A) for _ in range(8)} == {"shop1", "shop2"}, "both of shop serve")
    until(lambda: said(lab, B) == "blog1", "blog serves")
    return port, made


def said(lab: WorkerLab, host: str) -> str:
    answer = ask(lab.port, host)
    return answer.text.split()[0] if answer.status == 200 else str(answer.status)


def steadily(lab: WorkerLab, host: str, expected: set[str], seconds: float = 2.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert {said(lab, host) for _ in range(4)} <= expected


def test_an_address_that_came_to_another_gets_no_request(lab: WorkerLab, names: DnsServer, backend: Make) -> None:
    port, [first, _, third] = serve(lab, names, backend)
    lab.server.close()
    # One of shop's addresses goes to the stranger: its own task ends first, as with Swarm.
    names.tasks("shop", "web", [(SECOND, task(2))])
    until(lambda: {said(lab, A) for _ in range(8)} == {"shop2"}, "what left DNS is left out before it ends")
    first.close()
    stranger = backend("stranger", port, FIRST)
    names.tasks("stranger", "web", [(FIRST, task(8))])
    steadily(lab, A, {"shop2"})
    # So does the only address of blog, at once.
    third.close()
    names.tasks("blog", "web", [])
    names.tasks("stranger", "web", [(FIRST, task(8)), (THIRD, task(9))])
    until(lambda: said(lab, B) == "503", "the last one is denied, too")
    other = backend("stranger", port, THIRD)
    steadily(lab, B, {"503"})
    # A bus that is back with the plan of before changes nothing of that.
    lab.server.run()
    until(lambda: lab.outcome() is not None and lab.outcome().stale_since is None, "the bus is back")
    steadily(lab, A, {"shop2"})
    steadily(lab, B, {"503"})
    assert stranger.seen == other.seen == []
    outcome = lab.outcome()
    assert [(d.service, d.address) for d in outcome.denied] == [
        ("shop", f"{FIRST}:{port}"),
        ("blog", f"{THIRD}:{port}"),
    ]
    assert outcome.denied[1].why == "the address is stranger's now"
    assert outcome.counters["endpoints_denied"] == 2


def test_a_name_that_is_gone_is_denied_though_nobody_has_the_address(
    lab: WorkerLab, names: DnsServer, backend: Make
) -> None:
    serve(lab, names, backend)
    # The bus is there, but no watcher acts in this lab.
    names.tasks("blog", "web", [])
    began = time.monotonic()
    until(lambda: said(lab, B) == "503", "the last one is denied")
    # Before SIGTERM, which comes 2 s after an address has left DNS.
    assert time.monotonic() - began < 2.0
    until(lambda: lab.outcome().denied, "it is told")
    assert lab.outcome().cause.startswith("dns-")
    names.tasks("blog", "web", [(THIRD, task(3))])
    until(lambda: said(lab, B) == "blog1", "what DNS confirms serves again")
    until(lambda: not lab.outcome().denied, "nobody is denied any more")


def test_nothing_is_dropped_because_dns_cannot_be_asked(lab: WorkerLab, names: DnsServer, backend: Make) -> None:
    serve(lab, names, backend)
    lab.server.close()
    names.odd = lambda _, response: None
    steadily(lab, B, {"blog1"})
    names.close()
    steadily(lab, A, {"shop1", "shop2"})
    steadily(lab, B, {"blog1"})


def test_addresses_that_were_reused_while_no_worker_lived_are_not_started_with(
    lab: WorkerLab, names: DnsServer, backend: Make
) -> None:
    port, [first, *_] = serve(lab, names, backend)
    lab.stop()
    lab.server.close()
    first.close()
    stranger = backend("stranger", port, FIRST)
    names.tasks("shop", "web", [(SECOND, task(2))])
    names.tasks("stranger", "web", [(FIRST, task(8))])
    lab.spawn()
    steadily(lab, A, {"shop2"})
    assert said(lab, B) == "blog1"
    assert stranger.seen == []
    lab.terminate()


def test_a_start_with_everything_dead_serves_all_hosts(lab: WorkerLab, names: DnsServer, backend: Make) -> None:
    serve(lab, names, backend)
    lab.stop()
    lab.server.close()
    names.odd = lambda _, response: None
    began = time.monotonic()
    lab.spawn()
    assert time.monotonic() - began < 5
    assert said(lab, B) == "blog1"
    steadily(lab, A, {"shop1", "shop2"})
    lab.terminate()


def test_who_cannot_be_reached_is_told(lab: WorkerLab) -> None:
    lab.start()
    # A group of machines: no network has it, and no way out accepts for it, as some do for any other address.
    lab.until_runs(lab.serve({A: (place("224.0.0.7", 80, 1, "shop"),)}))
    until(lambda: lab.outcome().unreachable, "it is told")
    assert "service shop: 224.0.0.7 is on the network 'web', to which" in str(lab.outcome().unreachable[0])
    lab.until_runs(lab.serve({}))
    until(lambda: not lab.outcome().unreachable, "it is told no more")
    assert status_of(lab.port, A) == 503


def test_whether_a_watcher_acts(lab: WorkerLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher_liveness, "_EVERY", 0.0)
    env, watch = RegionEnv(lab.bus, "test"), WatcherLiveness(lab.bus, "test")

    def write(**status: object) -> None:
        data = codec.encode("watcher", WatcherStatus(owner="w", **status))
        env.write({WATCHER: data}, TOKEN)

    assert watch.look() == "no watcher acts"
    assert watch.look() is None
    write(at=lab.bus.server_time())
    assert watch.look() == ""
    write(at=lab.bus.server_time(), stale_since=1.0)
    assert watch.look() == "the watcher cannot ask Docker"
    write(at=lab.bus.server_time(), held_since=1.0)
    assert watch.look() == "the watcher doubts what Docker says"
    env.write({WATCHER: b"no frame"}, TOKEN)
    assert watch.look() == "no watcher acts"
    write(at=lab.bus.server_time() - 11)
    assert WatcherLiveness(lab.bus, "test").look() == "no watcher acts"
