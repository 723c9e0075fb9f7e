"""Runtime commands against a real HAProxy: what runs after them is what a restart on the rendered files gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.model.names import upstream_name
from interlock.model.routing import HostRedirect, Route, VirtualHost
from interlock_extension.haproxy import delta
from interlock_extension.haproxy.delta import AddServer, DelMap, DelServer, SetMap, SetState
from interlock_extension.haproxy.routes import Server
from interlock_extension.port import HostView
from interlock_extension.rendering.tokens import Token
from support.haproxy_lab import HaproxyLab, each_haproxy, haproxy_lab
from support.nginx_lab import Backend, ask, endpoint, until, upstream

Make = Callable[..., Backend]
HOST = "a.example"

pytestmark = each_haproxy


@pytest.fixture
def lab(tmp_path: Path, haproxy_binary: str) -> Iterator[HaproxyLab]:
    with haproxy_lab(tmp_path / "haproxy", haproxy_binary) as made:
        yield made


def policy(*ports: int, host: str = HOST, path: str = "/", **more: object) -> HostView:
    name = upstream_name(host, path)
    route = Route(path=path, upstream=name, **more)  # type: ignore[arg-type]  # by name
    ends = tuple(endpoint(port, f"t{port}") for port in ports)
    return HostView(host=VirtualHost(host=host, routes=(route,)), upstreams=(upstream(host, ends, path),))


def names(lab: HaproxyLab, host: str = HOST, times: int = 6, **headers: str) -> set[str]:
    return {ask(lab.port, host, **headers).text.split()[0] for _ in range(times)}


def test_endpoints_come_and_go(lab: HaproxyLab, backend: Make) -> None:
    one, two, three = backend("one"), backend("two"), backend("three")
    lab.start(policy(one.port, two.port))
    lab.serve(HOST, policy(two.port, three.port))
    assert names(lab) == {"two", "three"}
    # It comes back before it was deleted.
    lab.serve(HOST, policy(one.port))
    assert names(lab) == {"one"}
    leaving = delta.deletions(lab.running.leaving)
    assert {command.server.split("_")[1] for command in leaving} == {f"t{two.port}", f"t{three.port}"}

    def deleted() -> bool:
        for command in delta.deletions(lab.running.leaving):
            if lab.verdicts(command)[0].what == "done":
                lab.running = delta.deleted(lab.running, command)
        return not lab.running.leaving

    until(deleted, "servers without connections are deleted")
    lab.serve(HOST, policy(two.port))
    assert names(lab) == {"two"}
    lab.restart()
    assert names(lab) == {"two"}


def test_a_new_host_its_policies_and_its_end(lab: HaproxyLab, backend: Make) -> None:
    made = [backend(str(n)) for n in range(4)]
    ports = [each.port for each in made]
    everything = {str(n) for n in range(4)}
    lab.start(policy(ports[0], host="other.example"))
    assert ask(lab.port, HOST).status == 503
    redirect = HostRedirect(target="https://b.example", service="s", service_id="s")
    cookie = "a+b.c^d"
    chosen: dict[str, set[str]] = {}

    def sticky() -> None:
        for user in ("x", "y", "z", "u", "v"):
            found = names(lab, Cookie=f"other=1; {cookie}={user}")
            assert len(found) == 1
            assert chosen.setdefault(user, found) == found
        assert len({next(iter(found)) for found in chosen.values()}) > 1

    def stays_at_one() -> None:
        assert len(names(lab)) == 1

    def check_path() -> None:
        assert ask(lab.port, HOST, "/app/x").text.split()[2] == "/x"
        assert ask(lab.port, HOST, "/").status == 404

    def moved() -> None:
        assert ask(lab.port, HOST, "/q").headers["location"] == "https://b.example/q"

    def gone() -> None:
        assert ask(lab.port, HOST).status == 503

    steps: list[tuple[HostView | None, Callable[[], object]]] = [
        (policy(*ports), lambda: names(lab, times=12) == everything),
        (policy(*ports, sticky_cookie=cookie), sticky),
        (policy(*ports, ip_hash=True), stays_at_one),
        (policy(*ports, path="/app", rewrite=True), check_path),
        (HostView(host=VirtualHost(host=HOST, redirect=redirect)), moved),
        (policy(*ports, sticky_cookie=cookie), sticky),
        (HostView(host=policy().host), gone),
        (None, gone),
        (policy(ports[1]), lambda: names(lab) == {"1"}),
    ]
    for to, check in steps:
        lab.serve(HOST, to)
        assert check() in (None, True)
    # No spare was taken twice for the same thing.
    assert len(lab.running.taken) == 3
    for to, check in steps:
        lab.views = {HOST: to} if to else {}
        lab.restart()
        assert check() in (None, True)


def test_the_maps_that_run_are_those_of_a_restart(lab: HaproxyLab, backend: Make) -> None:
    one = backend("one")
    lab.start()
    for host in ("a.example", "*.b.example", "_"):
        lab.serve(host, policy(one.port, host=host, websockets=("/ws", "/live"), sticky_cookie="x'y"))
    lab.serve("a.example", policy(one.port, host="a.example", path="/app", rewrite=True))
    lab.serve("*.b.example", None)
    stands_for = {spare: symbol for symbol, spare in lab.running.taken.items()}
    run = {name: lab.map(name) for name in ("hosts.map", "wildcards.map", "routes.map", "cookies.map")}
    for spare, symbol in stands_for.items():
        run["routes.map"] = {line.replace(spare, symbol) for line in run["routes.map"]}
    lab.restart()
    assert run == {name: lab.map(name) for name in run}


def test_the_version_that_runs(lab: HaproxyLab) -> None:
    lab.start()
    lab.run(delta.version(r"2 (3, 4); a\b 'c' %x"))
    assert lab.status("/interlock/version") == r"2 (3, 4); a\b 'c' %x"


def test_what_haproxy_refuses_is_an_error(lab: HaproxyLab, backend: Make) -> None:
    lab.start(policy(backend("one").port))
    [name] = lab.served(HOST).backends
    [server] = lab.served(HOST).backends[name].servers.values()
    new = Server(name=Token("t_new"), address=Token("127.0.0.1:1"), number=server.number)
    again = Server(name=server.name, address=server.address, number=1)
    for command, said in (
        (AddServer(backend="nowhere", server=new), "No such backend."),
        (AddServer(backend=name, server=again), "Already exists"),
        (AddServer(backend=name, server=new), "already used"),
        (SetState(backend=name, server="t_none", state="maint"), "No such server."),
        (SetMap(map="routes.map", key="none/", value="x"), "entry not found."),
        (SetMap(map="none.map", key="x", value="x"), "Unknown map"),
        (DelMap(map="routes.map", key="none/"), "Key not found."),
        (DelServer(backend=name, server=server.name), "maintenance"),
    ):
        # What comes before and after it is still told apart.
        before, verdict, after = lab.verdicts(delta.version("2"), command, delta.version("3"))
        assert (before.what, after.what) == ("done", "done")
        assert verdict.what == "refused", command
        assert said in verdict.said
