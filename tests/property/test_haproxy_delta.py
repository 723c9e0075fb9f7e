"""The commands bring a model of HAProxy to what rendering gives, and never point at a backend that serves nobody."""

from __future__ import annotations

import re
from typing import assert_never

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.model.names import upstream_name
from interlock.model.routing import Endpoint, HostRedirect, PassiveChecks, Route, Upstream, VirtualHost
from interlock_extension.haproxy import delta
from interlock_extension.haproxy.delta import (
    AddMap,
    AddServer,
    Change,
    Command,
    DelMap,
    DelServer,
    EnableChecks,
    NotInPlace,
    Running,
    SetMap,
    SetState,
)
from interlock_extension.haproxy.render import compose
from interlock_extension.haproxy.routes import COOKIES, NOBODY, NOTHING, ROUTES, Served
from interlock_extension.port import HostView
from support.haproxy_lab import files_for, renderer

HOSTS = ("a.example", "*.a.example", "_")
MADE = renderer()


class Model:
    """HAProxy's state: maps, and servers with whether they are ready and checked. It refuses what HAProxy refuses."""

    def __init__(self, files: dict[str, bytes]) -> None:
        composed = compose(files, "1 x")
        self.maps: dict[str, dict[str, str]] = {
            name.partition("/")[2]: dict(line.split(" ", 1) for line in data.decode().splitlines())  # type: ignore[misc]
            for name, data in composed.files.items()
            if name.endswith(".map")
        }
        self.backends: dict[str, dict[str, tuple[str, str, str]]] = {}
        self.ready: set[tuple[str, str]] = set()
        self.checked: set[tuple[str, str]] = set()
        for data in (data for name, data in files.items() if name.endswith(".cfg")):
            backend = ""
            for line in data.decode().splitlines():
                if found := re.fullmatch(r"backend (\S+)", line):
                    backend = found[1]
                    assert backend not in self.backends
                    self.backends[backend] = {}
                elif found := re.fullmatch(r" +server (\S+) (.+ id .+)", line):
                    self._add(backend, found[1], found[2])
                    self.ready.add((backend, found[1]))
                    if " check " in found[2]:
                        self.checked.add((backend, found[1]))

    def _add(self, backend: str, name: str, written: str) -> None:
        servers = self.backends[backend]
        assert name not in servers
        found = re.fullmatch(r"(\S+) id (\d+)(| check observe layer4 .+)", written)
        assert found, written
        assert found[2] not in {each[1] for each in servers.values()}
        servers[name] = (found[1], found[2], found[3])

    def run(self, command: Command) -> None:
        match command:
            case AddServer(backend=backend, server=server):
                self._add(backend, server.name, delta.written_server(server))
            case EnableChecks(backend=backend, server=name):
                assert self.backends[backend][name][2]
                self.checked.add((backend, name))
            case SetState(backend=backend, server=name, state=state):
                assert name in self.backends[backend]
                (self.ready.add if state == "ready" else self.ready.discard)((backend, name))
            case DelServer(backend=backend, server=name):
                assert (backend, name) not in self.ready
                del self.backends[backend][name]
                self.checked.discard((backend, name))
            case AddMap(map=map_, key=key, value=value):
                assert key not in self.maps[map_]
                self.maps[map_][key] = value
            case SetMap(map=map_, key=key, value=value):
                assert key in self.maps[map_]
                self.maps[map_][key] = value
            case DelMap(map=map_, key=key):
                del self.maps[map_][key]
            case _:
                assert_never(command)
        self.check()

    def check(self) -> None:
        """Every entry leads to a backend with somebody who is ready."""
        for value in self.maps[ROUTES].values():
            backend = value.partition("|")[0]
            assert backend == NOBODY or any((backend, name) in self.ready for name in self.backends[backend]), value

    def seen(self, running: Running) -> tuple[object, ...]:
        """What clients see of it, spares by what they stand for."""
        stands_for = {spare: symbol for symbol, spare in running.taken.items()}

        def name(backend: str) -> str:
            return stands_for.get(backend, backend)

        routes = {}
        for key, value in self.maps[ROUTES].items():
            backend, mark, more = value.partition("|")
            routes[key] = name(backend) + mark + more
        reached = {value.partition("|")[0] for value in self.maps[ROUTES].values()} - {NOBODY}
        servers = {
            (name(backend), server, *self.backends[backend][server], (backend, server) in self.checked)
            for backend, server in self.ready
            if backend in reached
        }
        # Nobody else is ready: what is not reached is in maintenance.
        assert {backend for backend, _ in self.ready} <= reached
        rest = {map_: entries for map_, entries in self.maps.items() if map_ not in (ROUTES, COOKIES)}
        return routes, servers, rest


PASSIVE = st.sampled_from([{}, {"s": PassiveChecks(max_fails=0)}, {"s": PassiveChecks(max_fails=2, fail_timeout=3)}])
PATHS = st.lists(st.sampled_from(["/", "/app", "/app/x"]), unique=True, max_size=3)


@st.composite
def views(draw: st.DrawFn) -> HostView:
    host = draw(st.sampled_from(HOSTS))
    if draw(st.integers(0, 5)) == 0:
        redirect = HostRedirect(target=draw(st.sampled_from(["https://b.example", "http://c.example:81"])),
                                service="s", service_id="s")  # fmt: skip
        return HostView(host=VirtualHost(host=host, redirect=redirect))
    routes, upstreams = [], []
    for path in sorted(draw(PATHS), key=len, reverse=True):
        name = upstream_name(host, path)
        routes.append(
            Route(
                path=path,
                upstream=name,
                rewrite=draw(st.booleans()),
                ip_hash=draw(st.booleans()),
                sticky_cookie=draw(st.sampled_from(["", "sid", "a.b"])),
                websockets=tuple(draw(st.lists(st.sampled_from(["/", "/app", "/ws"]), max_size=2, unique=True))),
                passive=draw(PASSIVE),
            )
        )
        ends = draw(st.lists(st.integers(1, 5), unique=True, max_size=4))
        if ends:
            upstreams.append(Upstream(name=name, endpoints=tuple(_endpoint(n) for n in ends)))
    return HostView(host=VirtualHost(host=host, routes=tuple(routes)), upstreams=tuple(upstreams))


def _endpoint(n: int) -> Endpoint:
    # The fifth is the first address with another task.
    return Endpoint(address=f"10.0.0.{n % 4}", port=80, task="vip" if n == 3 else f"t{n}", service_id="s", service="s")


STEPS = st.lists(st.one_of(views(), st.sampled_from(HOSTS), st.just("delete")), max_size=12)


@settings(deadline=None)
@given(st.lists(views(), max_size=3), STEPS)
def test_the_run_is_what_rendering_gives(first: list[HostView], steps: list[HostView | str]) -> None:
    serving = {view.host.host: view for view in first}
    files = files_for(MADE, *serving.values())
    model, running = Model(files), compose(files, "1 x").running
    for step in steps:
        if step == "delete":
            for command in delta.deletions(delta.to_delete(running, 2)):
                model.run(command)
                running = delta.deleted(running, command)
            continue
        host, view = (step, None) if isinstance(step, str) else (step.host.host, step)
        before = MADE.served(serving[host]) if host in serving else NOTHING
        found = delta.change(before, MADE.served(view) if view else NOTHING, running)
        assert isinstance(found, Change)
        for command in found.commands:
            assert delta.written(command)
            model.run(command)
        running = found.running
        serving.pop(host, None)
        if view:
            serving[host] = view
        fresh = Model(files_for(MADE, *serving.values()))
        assert model.seen(running) == fresh.seen(Running())
        assert fresh.maps[COOKIES].items() <= model.maps[COOKIES].items()
        left = {(b, s) for b, servers in model.backends.items() for s in servers} - model.ready
        assert left == running.leaving


@settings(deadline=None)
@given(views())
def test_what_does_not_change_needs_no_command(view: HostView) -> None:
    served = MADE.served(view)
    running = compose(files_for(MADE, view), "1 x").running
    found = delta.change(served, served, running)
    assert isinstance(found, Change)
    assert found.commands == ()
    assert found.running == running


def test_a_server_that_comes_back_before_it_was_deleted_is_there_again() -> None:
    view = _plain("a.example")
    served = MADE.served(view)
    gone = delta.change(served, NOTHING, compose(files_for(MADE, view), "1 x").running)
    assert isinstance(gone, Change)
    *_, leaving = delta.deletions(gone.running.leaving)
    back = delta.change(NOTHING, served, gone.running)
    assert isinstance(back, Change)
    assert back.commands[0] == SetState(backend=leaving.backend, server=leaving.server, state="ready")
    assert delta.deletions(back.running.leaving) == ()


def test_without_a_spare_it_is_not_done_in_place() -> None:
    after: Served = MADE.served(_plain("b.example"))
    found = delta.change(NOTHING, after, Running(free={"rr": (), "hash": ("spare_hash_0001",)}))
    assert isinstance(found, NotInPlace)
    assert "no spare backend of the kind rr" in found.reason


def test_with_many_backends_a_reload_costs_more_and_more_is_done_in_place() -> None:
    few, many = frozenset({"one"}), frozenset(map(str, range(9_000)))
    assert delta.most(Running(configured=few)) == delta.MOST
    assert delta.most(Running(configured=many, taken={"a": "spare_rr_0001"})) == 9_001


@pytest.mark.parametrize("hosts", [3])
def test_a_spare_is_never_given_to_another(hosts: int) -> None:
    running = Running(free={"rr": tuple(f"spare_rr_{n:04d}" for n in range(hosts))})
    for n in range(hosts):
        after = MADE.served(_plain(f"h{n}.example"))
        for before_, after_ in ((NOTHING, after), (after, NOTHING), (NOTHING, after), (after, NOTHING)):
            found = delta.change(before_, after_, running)
            assert isinstance(found, Change)
            running = found.running
    assert len(set(running.taken.values())) == hosts
    assert running.free["rr"] == ()


def _plain(host: str) -> HostView:
    route = Route(upstream=upstream_name(host))
    return HostView(
        host=VirtualHost(host=host, routes=(route,)),
        upstreams=(Upstream(name=route.upstream, endpoints=(_endpoint(1),)),),
    )


def test_servers_that_cannot_be_deleted_keep_no_other_from_it() -> None:
    leaving = frozenset(("b", f"s{n}") for n in range(5))
    running, tried, last = Running(leaving=leaving), [], ("", "")
    for _ in range(3):
        some = delta.to_delete(running, 2, last)
        last = some[-1]
        tried += some
    assert set(tried) == leaving
