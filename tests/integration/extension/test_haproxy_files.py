"""What clients and backends see of a real HAProxy on rendered files: the system's, and the wheel's."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from interlock.model.names import upstream_name
from interlock.model.routing import HostRedirect, Route, VirtualHost
from interlock_extension.port import HostView
from support.haproxy_lab import HaproxyLab, each_haproxy, haproxy_lab
from support.nginx_lab import Backend, Idle, ask, endpoint, upstream, view, virtual_host
from support.websocket import opened, websocket_backend

Make = Callable[..., Backend]
HOST = "a.example"

pytestmark = each_haproxy


@pytest.fixture
def lab(tmp_path: Path, haproxy_binary: str) -> Iterator[HaproxyLab]:
    with haproxy_lab(tmp_path / "haproxy", haproxy_binary) as made:
        yield made


def routed(*routes: tuple[str, Backend, bool]) -> HostView:
    return HostView(
        host=VirtualHost(
            host=HOST,
            routes=tuple(
                Route(path=path, rewrite=rewrite, upstream=upstream_name(HOST, path)) for path, _, rewrite in routes
            ),
        ),
        upstreams=tuple(upstream(HOST, (endpoint(to.port, to.name),), path) for path, to, _ in routes),
    )


def policy(*ports: int, **more: object) -> HostView:
    plain = view(HOST, *ports)
    route = Route(path="/", upstream=upstream_name(HOST), **more)  # type: ignore[arg-type]  # by name
    return HostView(host=VirtualHost(host=HOST, routes=(route,)), upstreams=plain.upstreams)


@pytest.mark.parametrize("said", [HOST, "A.EXAMPLE", "a.example.", "A.example.:8080", "a.example:80"])
def test_a_host_is_found_however_it_is_written(lab: HaproxyLab, backend: Make, said: str) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))
    assert ask(lab.port, said).text.startswith("one")
    assert {k.lower(): v for k, v in one.seen[-1][2].items()}["host"] == said


def test_the_host_of_an_absolute_request(lab: HaproxyLab, backend: Make) -> None:
    lab.start(view(HOST, backend("one").port))
    with socket.create_connection(("127.0.0.1", lab.port)) as link:
        link.sendall(f"GET http://A.example:{lab.port} HTTP/1.1\r\nHost: A.example:{lab.port}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.read() == b"one GET / 0"
    with socket.create_connection(("127.0.0.1", lab.port)) as link:
        link.sendall(f"GET http://A.example:{lab.port}/x HTTP/1.1\r\nHost: A.example:{lab.port}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.read() == b"one GET /x 0"


def test_wildcards_the_default_host_and_unknown_ones(lab: HaproxyLab, backend: Make) -> None:
    wild, deep, exact = backend("wild"), backend("deep"), backend("exact")
    hosts = (view("*.a.example", wild.port), view("*.b.a.example", deep.port), view("x.a.example", exact.port))
    lab.start(*hosts)
    for host, name in {"y.a.example": "wild", "y.z.a.example": "wild", "y.b.a.example": "deep"}.items():
        assert ask(lab.port, host).text.startswith(name)
    assert ask(lab.port, "X.a.example").text.startswith("exact")
    for host in ("a.example", "unknown.example", "xa.example", "-"):
        answer = ask(lab.port, host, "/any", "POST", b"x" * 100_000)
        assert (answer.status, "Interlock" in answer.text) == (503, True), host
        assert answer.headers["content-type"] == "text/html"
        assert not any(name.startswith("x-") for name in answer.headers)
    rest = backend("rest")
    lab.start(*hosts, view("_", rest.port))
    assert ask(lab.port, "unknown.example").text.startswith("rest")
    assert ask(lab.port, "b.a.example").text.startswith("wild")


def test_paths_match_whole_segments_and_decoded(lab: HaproxyLab, backend: Make) -> None:
    app, admin, api = backend("app"), backend("admin"), backend("api")
    lab.start(routed(("/app/admin", admin, False), ("/app", app, False), ("/a~b@c", api, False)))

    def text(path: str) -> str:
        return ask(lab.port, HOST, path).text

    assert text("/app") == "app GET /app 0"
    assert text("/app/x%2Fy?q=1&r=%41") == "app GET /app/x%2Fy?q=1&r=%41 0"
    assert text("/app/admin/x") == "admin GET /app/admin/x 0"
    assert text("/app/administrator") == "app GET /app/administrator 0"
    for path in ("/%61pp/x", "/x/../app", "/app/admin/../x", "//app"):
        assert text(path).startswith("app "), path
    assert text("/app//admin/x").startswith("admin ")
    assert text("/app/./admin/%61").startswith("admin ")
    assert text("/a%7Eb%40c").startswith("api ")
    for path in ("/", "/apple", "/App", "/other"):
        assert ask(lab.port, HOST, path).status == 404, path
    for path in ("/app%2F..%2Fapple", "/app/%2e%2e/apple", "/app/.%2E/apple"):
        assert ask(lab.port, HOST, path).status == 404, path
    # What is no path: more dots than segments, and what is not encoded.
    for path in (
        "/../app",
        "/app/../..",
        "/app/%2e%2e%2f..",
        "/app%00",
        "/app/%",
        "/app/%2",
        "/app/%zz",
        "/app/%2/x",
        "*",
    ):
        assert ask(lab.port, HOST, path).status == 400, path


def test_what_is_compared_is_not_what_is_sent_on(lab: HaproxyLab, backend: Make) -> None:
    """But for a context root that is taken off: then what follows it arrives tidied."""
    app, api = backend("app"), backend("api")
    lab.start(routed(("/app", app, False), ("/api", api, True)))
    said = ("/app/./x", "/x/../app/%2e%2e/app", "/app//x", "/app%2Fx/%41", "/app/a%3Ab", "/app/..%2Fapp?q=/../%2e//")
    for path in said:
        assert ask(lab.port, HOST, path).text == f"app GET {path} 0"
    tidied = {"/api/./x//y": "/x/y", "/x/../api/a%2Fb": "/a/b", "/api%2Fx/%2e%2e/%20": "/%20", "//api/y?%2F": "/y?%2F"}
    for path, seen in tidied.items():
        assert ask(lab.port, HOST, path).text == f"api GET {seen} 0", path


def test_requests_that_nginx_refuses(lab: HaproxyLab, backend: Make) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))
    for host in ("", "a/b", "a@b", f"{HOST}/x", "a..b"):
        assert ask(lab.port, host).status == 400, host
    assert ask(lab.port, HOST, "/", "TRACE").status == 405
    for line, status in (("HTTP/1.1", b"400"), ("HTTP/1.0", b"503")):
        with socket.create_connection(("127.0.0.1", lab.port)) as link:
            link.sendall(f"GET / {line}\r\n\r\n".encode())
            assert link.recv(4096).split()[1] == status, line
    assert one.seen == []


def test_headers_with_an_underscore(tmp_path: Path, haproxy_binary: str, backend: Make) -> None:
    """To a service they may be those with a hyphen, which are ours to say."""
    one = backend("one")
    for option, names in ((False, {"x-real-ip"}), (True, {"x-real-ip", "x_real_ip"})):
        with haproxy_lab(tmp_path / str(option), haproxy_binary, UnderscoresInHeaders=option) as made:
            made.start(view(HOST, one.port))
            assert ask(made.port, HOST, X_Real_IP="192.0.2.1").status == 200
            assert {name.lower() for name in one.seen[-1][2]} & {"x-real-ip", "x_real_ip"} == names


def test_what_looks_odd_in_a_query_changes_nothing(lab: HaproxyLab, backend: Make) -> None:
    app = backend("app")
    lab.start(routed(("/app", app, False)))
    assert ask(lab.port, HOST, "/app/x?to=http://a/../b%2F/.").text == "app GET /app/x?to=http://a/../b%2F/. 0"


def test_rewriting(lab: HaproxyLab, backend: Make) -> None:
    api, deep = backend("api"), backend("deep")
    long = "/" + "/".join(str(n) for n in range(19))
    lab.start(routed((long, deep, True), ("/api/v1/x", deep, True), ("/api", api, True)))
    assert ask(lab.port, HOST, "/api/users/7?q=1").text == "api GET /users/7?q=1 0"
    assert ask(lab.port, HOST, "/api/").text == "api GET / 0"
    assert ask(lab.port, HOST, "/api/x/").text == "api GET /x/ 0"
    assert ask(lab.port, HOST, "/api/users", "POST", b"12345").text == "api POST /users 5"
    assert ask(lab.port, HOST, "/api/v1/x/y").text == "deep GET /y 0"
    assert ask(lab.port, HOST, "/api/v1/y").text == "api GET /v1/y 0"
    assert ask(lab.port, HOST, f"{long}/y?z").text == "deep GET /y?z 0"
    for path in ("/api", "/api/v1/x", long):
        moved = ask(lab.port, HOST, f"{path}?q=1")
        assert (moved.status, moved.headers["location"]) == (301, f"{path}/?q=1")
        assert ask(lab.port, HOST, path).headers["location"] == f"{path}/"


def test_a_path_without_endpoints_is_503_beside_one_that_has(lab: HaproxyLab, backend: Make) -> None:
    one = backend("one")
    host = HostView(host=virtual_host(HOST, "/", "/app"), upstreams=(upstream(HOST, (endpoint(one.port, "t"),)),))
    lab.start(host)
    assert ask(lab.port, HOST, "/").status == 200
    for path in ("/app", "/app/x"):
        assert ask(lab.port, HOST, path, "POST", b"x" * 50_000).status == 503


def test_a_redirect_keeps_path_and_query(lab: HaproxyLab) -> None:
    redirect = HostRedirect(target="https://b.example:8443", service="svc", service_id="id-svc")
    lab.start(HostView(host=VirtualHost(host=HOST, redirect=redirect)))
    answer = ask(lab.port, HOST, "/x/%20y/../z?q=1&r=$uri")
    assert (answer.status, answer.headers["location"]) == (302, "https://b.example:8443/x/%20y/../z?q=1&r=$uri")
    assert {"x-request-id", "x-proxy-id", "x-server-info"} <= answer.headers.keys()
    assert "x-upstream-addr" not in answer.headers
    assert ask(lab.port, HOST, "/", "POST", b"x").status == 302


def test_headers_to_the_backend(lab: HaproxyLab, backend: Make) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))

    def seen(**headers: str) -> dict[str, str]:
        ask(lab.port, HOST, **headers)
        return {name.lower(): value for name, value in one.seen[-1][2].items()}

    plain = seen()
    assert (plain["x-real-ip"], plain["x-forwarded-for"], plain["x-forwarded-proto"]) == ("127.0.0.1",) * 2 + ("http",)
    assert len(plain["x-request-id"]) == 32
    told = seen(**{"X-Forwarded-For": "9.9.9.9, 8.8.8.8", "X-Forwarded-Proto": "https", "X-Request-Id": "mine"})
    assert told["x-forwarded-for"] == "9.9.9.9, 8.8.8.8, 127.0.0.1"
    assert (told["x-forwarded-proto"], told["x-request-id"]) == ("https", "mine")
    assert seen(**{"X-Real-IP": "6.6.6.6"})["x-real-ip"] == "127.0.0.1"
    assert len(seen(**{"X-Request-Id": "y" * 201})["x-request-id"]) == 32


def test_headers_to_the_client(lab: HaproxyLab, backend: Make) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))
    headers = ask(lab.port, HOST, **{"X-Request-Id": "mine"}).headers
    assert headers["x-request-id"] == "mine"
    assert headers["x-proxy-id"] == "proxy-1"
    assert headers["x-server-info"] == "interlock/0.1.0 (0123abcd) linux/amd64"
    assert headers["x-upstream-addr"] == f"127.0.0.1:{one.port}"
    assert 0 <= float(headers["x-upstream-response-time"]) < 5
    one.server.status = 404
    assert not any(name.startswith("x-") for name in ask(lab.port, HOST).headers)


def test_hidden_headers(tmp_path: Path, haproxy_binary: str, backend: Make) -> None:
    with haproxy_lab(tmp_path, haproxy_binary, HideInfoHeaders=True) as lab:
        one = backend("one")
        lab.start(view(HOST, one.port))
        assert not any(name.startswith("x-") for name in ask(lab.port, HOST).headers)
        assert any(name.lower() == "x-request-id" for name in one.seen[-1][2])


@pytest.mark.parametrize("cookie", ["session", "connect.sid", "my-session", "a+b*c|d", "x^y$'z"])
def test_the_same_cookie_goes_to_the_same_task(lab: HaproxyLab, backend: Make, cookie: str) -> None:
    made = [backend(str(n)) for n in range(5)]
    lab.start(policy(*(b.port for b in made), sticky_cookie=cookie))
    before = _served_by_cookie(lab, cookie)
    assert len(set(before)) > 1
    assert len({ask(lab.port, HOST).text.split()[0] for _ in range(8)}) > 1
    lab.restart()
    assert _served_by_cookie(lab, cookie) == before


def _served_by_cookie(lab: HaproxyLab, cookie: str) -> list[str]:
    chosen = []
    for user in range(6):
        said = f"x{cookie}=decoy; other=1; {cookie}=user-{user}"
        served = {ask(lab.port, HOST, Cookie=said).text.split()[0] for _ in range(5)}
        assert len(served) == 1
        chosen += served
    return chosen


def test_one_client_goes_to_one_task(lab: HaproxyLab, backend: Make) -> None:
    made = [backend(str(n)) for n in range(5)]
    lab.start(policy(*(b.port for b in made), ip_hash=True))
    assert len({ask(lab.port, HOST).text.split()[0] for _ in range(20)}) == 1


def test_websockets_only_where_they_are_asked_for(lab: HaproxyLab) -> None:
    with websocket_backend() as (port, heads):
        lab.start(policy(port, websockets=("/ws",)))
        for path in ("/ws", "/ws/room?x=1"):
            with opened(lab.port, HOST, path, Origin="http://elsewhere.example") as link:
                link.send("hello")
                assert link.recv(timeout=5) == "hello"
            assert "\r\norigin: http://elsewhere.example" in heads[-1].lower()
        for path in ("/", "/wsx", "/other/ws"):
            with pytest.raises(InvalidStatus) as refused:
                opened(lab.port, HOST, path)
            assert refused.value.response.status_code == 200
            assert "upgrade" not in heads[-1].lower()
        assert ask(lab.port, HOST, "/ws").text == "plain"


def test_a_path_of_another_service_is_that_services(lab: HaproxyLab, backend: Make) -> None:
    site, other = backend("site"), backend("other")
    routes = (
        Route(path="/ws", upstream=upstream_name(HOST, "/ws")),
        Route(path="/", upstream=upstream_name(HOST), websockets=("/live", "/ws")),
    )
    upstreams = (upstream(HOST, (endpoint(other.port, "o"),), "/ws"), upstream(HOST, (endpoint(site.port, "s"),)))
    lab.start(HostView(host=VirtualHost(host=HOST, routes=routes), upstreams=upstreams))
    assert ask(lab.port, HOST, "/ws/x").text.startswith("other")
    assert ask(lab.port, HOST, "/live").text.startswith("site")


def test_a_task_that_fails_fails_no_request_that_may_be_repeated(lab: HaproxyLab, backend: Make) -> None:
    good, bad, dead = backend("good"), backend("bad"), backend("dead")
    bad.server.status = 503
    lab.start(view(HOST, good.port, bad.port))
    assert {ask(lab.port, HOST).status for _ in range(20)} == {200}
    assert bad.seen
    # What may have had an effect is not repeated, as with nginx.
    assert {ask(lab.port, HOST, "/", "POST", b"x").status for _ in range(10)} == {200, 503}
    lab.start(view(HOST, good.port, dead.port))
    dead.close()
    assert {ask(lab.port, HOST, "/", "POST", b"x").status for _ in range(20)} == {200}


def test_large_bodies_and_keep_alive(lab: HaproxyLab, backend: Make) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))
    assert ask(lab.port, HOST, "/", "POST", b"x" * 3_000_000).text == "one POST / 3000000"
    with socket.create_connection(("127.0.0.1", lab.port)) as large:
        large.sendall(f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 34000000\r\n\r\n".encode())
        assert large.recv(4096).startswith(b"HTTP/1.1 413")
    link = Idle(lab.port)
    assert [link.request(HOST), link.request(HOST)] == ["one GET / 0"] * 2
    link.close()
