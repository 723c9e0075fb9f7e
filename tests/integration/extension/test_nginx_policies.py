"""How a host is served: redirects, sticky cookies, websockets, ip_hash, passive checks in a real nginx, old and new."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from interlock.model.names import upstream_name
from interlock.model.routing import HostRedirect, PassiveChecks, Route, VirtualHost
from interlock_extension.port import HostView
from support.nginx_lab import Backend, ask, both, endpoint, files_for, until, upstream, view
from support.websocket import opened, websocket_backend

Make = Callable[..., Backend]
HOST = "a.example"


def policy(*ports: int, **more: object) -> HostView:
    plain = view(HOST, *ports)
    [route] = plain.host.routes
    return HostView(
        host=VirtualHost(host=HOST, routes=(msgspec.structs.replace(route, **more),)), upstreams=plain.upstreams
    )


def redirected(target: str) -> HostView:
    redirect = HostRedirect(target=target, service="svc", service_id="id-svc")
    return HostView(host=VirtualHost(host=HOST, redirect=redirect))


@both
def test_a_redirect_keeps_path_and_query(nginx) -> None:
    nginx.control.start(files_for(nginx.renderer, redirected("https://b.example:8443")))
    answer = ask(nginx.port, HOST, "/x/%20y?q=1&r=$uri")
    assert (answer.status, answer.headers["location"]) == (302, "https://b.example:8443/x/%20y?q=1&r=$uri")
    assert {"x-request-id", "x-proxy-id", "x-server-info"} <= answer.headers.keys()
    assert "x-upstream-addr" not in answer.headers
    assert ask(nginx.port, HOST, "/nginx_status").status == 302
    assert ask(nginx.port, HOST, "/", "POST", b"x").status == 302


@both
def test_a_redirect_and_its_end_are_effective_like_any_change(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, redirected("http://b.example")))
    name = nginx.renderer.file_of(HOST)
    nginx.control.apply_snapshot({name: nginx.renderer.host(view(HOST, one.port))}, "v")
    assert ask(nginx.port, HOST).text.startswith("one")
    nginx.control.apply_snapshot({name: nginx.renderer.host(redirected("http://c.example"))}, "v")
    assert ask(nginx.port, HOST).headers["location"] == "http://c.example/"


@pytest.mark.parametrize("cookie", ["session", "connect.sid", "my-session", "a+b*c|d"])
@both
def test_the_same_cookie_goes_to_the_same_task(nginx, backend: Make, cookie: str) -> None:
    made = [backend(str(n)) for n in range(5)]
    nginx.control.start(files_for(nginx.renderer, policy(*(b.port for b in made), sticky_cookie=cookie)))
    chosen = set()
    for user in range(6):
        said = f"x{cookie}=decoy; other=1; {cookie}=user-{user}"
        answers = [ask(nginx.port, HOST, Cookie=said) for _ in range(5)]
        served = {answer.text.split()[0] for answer in answers}
        assert len(served) == 1
        assert not any("set-cookie" in answer.headers for answer in answers)
        chosen |= served
    # Who has no cookie yet is not all sent to one.
    assert len(chosen) > 1
    without = {ask(nginx.port, HOST).text.split()[0] for _ in range(8)}
    assert len(without) > 1


@both
def test_one_client_goes_to_one_task(nginx, backend: Make) -> None:
    made = [backend(str(n)) for n in range(5)]
    nginx.control.start(files_for(nginx.renderer, policy(*(b.port for b in made), ip_hash=True)))
    assert len({ask(nginx.port, HOST).text.split()[0] for _ in range(20)}) == 1


@both
def test_websockets_only_where_they_are_asked_for(nginx) -> None:
    with websocket_backend() as (port, heads):
        nginx.control.start(files_for(nginx.renderer, policy(port, websockets=("/ws",))))
        for path in ("/ws", "/ws/room?x=1"):
            with opened(nginx.port, HOST, path, Origin="http://elsewhere.example") as link:
                link.send("hello")
                assert link.recv(timeout=5) == "hello"
            assert "\r\nOrigin: http://elsewhere.example" in heads[-1]
            assert "\r\nConnection: upgrade" in heads[-1]
        for path in ("/", "/wsx", "/other/ws"):
            with pytest.raises(InvalidStatus) as refused:
                opened(nginx.port, HOST, path)
            assert refused.value.response.status_code == 200
            assert "upgrade" not in heads[-1].lower()
        # And what is no websocket is plain HTTP there.
        assert ask(nginx.port, HOST, "/ws").text == "plain"
        assert "upgrade" not in heads[-1].lower()


@both
def test_websockets_of_a_whole_host(nginx) -> None:
    with websocket_backend() as (port, _):
        nginx.control.start(files_for(nginx.renderer, policy(port, websockets=("/",))))
        with opened(nginx.port, HOST, "/any/where") as link:
            link.send(b"\x00" * 100_000)
            assert link.recv(timeout=5) == b"\x00" * 100_000


@both
def test_a_websocket_outlives_changes(nginx, backend: Make) -> None:
    one = backend("one")
    with websocket_backend() as (port, _):
        nginx.control.start(files_for(nginx.renderer, policy(port, websockets=("/ws",))))
        with opened(nginx.port, HOST, "/ws") as link:
            for n in range(4):
                other = view("b.example", one.port, one.port + n)
                nginx.control.apply_snapshot({nginx.renderer.file_of("b.example"): nginx.renderer.host(other)}, "v")
                link.send(str(n))
                assert link.recv(timeout=5) == str(n)
            nginx.control.tend()


@both
def test_a_websocket_that_is_asked_for_on_a_connection_of_an_old_worker(nginx, backend: Make) -> None:
    one = backend("one")
    with websocket_backend() as (port, _):
        nginx.control.start(files_for(nginx.renderer, policy(port, websockets=("/ws",))))
        silent = socket.create_connection(("127.0.0.1", nginx.port))
        other = view("b.example", one.port)
        nginx.control.apply_snapshot({nginx.renderer.file_of("b.example"): nginx.renderer.host(other)}, "v")
        with connect(f"ws://{HOST}/ws", sock=silent, open_timeout=5) as link:
            link.send("through")
            assert link.recv(timeout=5) == "through"


@both
def test_a_path_of_another_service_is_that_services(nginx, backend: Make) -> None:
    """A websocket endpoint that is another route's path, or the status page's."""
    site, other = backend("site"), backend("other")
    routes = (
        Route(path="/ws", upstream=upstream_name(HOST, "/ws")),
        Route(path="/", upstream=upstream_name(HOST), websockets=("/nginx_status", "/ws")),
    )
    upstreams = (upstream(HOST, (endpoint(other.port, "o"),), "/ws"), upstream(HOST, (endpoint(site.port, "s"),)))
    mixed = HostView(host=VirtualHost(host=HOST, routes=routes), upstreams=upstreams)
    nginx.control.start(files_for(nginx.renderer, mixed))
    assert ask(nginx.port, HOST, "/ws/x").text.startswith("other")
    assert ask(nginx.port, HOST, "/nginx_status").text.startswith("site")


@both
def test_passive_checks_take_a_failing_task_out(nginx, backend: Make) -> None:
    good, bad = backend("good"), backend("bad")
    bad.server.status = 503
    checks = {"id-svc": PassiveChecks(max_fails=2, fail_timeout=30)}
    nginx.control.start(files_for(nginx.renderer, policy(good.port, bad.port, passive=checks)))
    for _ in range(40):
        assert ask(nginx.port, HOST).status == 200
    assert len(bad.seen) == 2


@both
def test_passive_checks_can_be_turned_off(nginx, backend: Make) -> None:
    good, bad = backend("good"), backend("bad")
    bad.server.status = 503
    checks = {"id-svc": PassiveChecks(max_fails=0)}
    nginx.control.start(files_for(nginx.renderer, policy(good.port, bad.port, passive=checks)))
    for _ in range(20):
        assert ask(nginx.port, HOST).status == 200
    assert len(bad.seen) > 5


def test_passive_checks_are_those_of_each_service(nginx) -> None:
    """Of two services that share a host, each has its own; who says nothing has nginx's."""
    checks = {"id-one": PassiveChecks(max_fails=3, fail_timeout=30), "id-two": PassiveChecks(fail_timeout=90)}
    route = Route(path="/", upstream=upstream_name(HOST), passive=checks)
    ends = tuple(endpoint(8000 + n, name, service=name) for n, name in enumerate(("one", "two", "three")))
    shared = HostView(host=VirtualHost(host=HOST, routes=(route,)), upstreams=(upstream(HOST, ends),))
    written = nginx.renderer.host(shared).decode()
    assert re.findall(r"server (127\S+ ?.*);", written) == [
        "127.0.0.1:8000 max_fails=3 fail_timeout=30s",
        "127.0.0.1:8001 fail_timeout=90s",
        "127.0.0.1:8002",
    ]
    nginx.control.start(files_for(nginx.renderer, shared))
    until(nginx.control.alive, "nginx takes it")
