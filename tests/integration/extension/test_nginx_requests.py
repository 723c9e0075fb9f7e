"""What clients and backends see of our nginx: headers, paths, unknown hosts, status."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from interlock.model.names import upstream_name
from interlock.model.routing import Route, VirtualHost
from interlock_extension.port import HostView
from support.nginx_lab import Backend, Idle, ask, both, files_for, upstream, view, virtual_host
from support.nginx_lab import endpoint as to

Make = Callable[..., Backend]


@both
def test_headers_to_the_backend(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    ask(nginx.port, "a.example:8080")
    _, _, seen, _ = one.seen[-1]
    assert seen["Host"] == "a.example:8080"
    assert seen["X-Real-IP"] == "127.0.0.1"
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "http"
    assert len(seen["x-request-id"]) == 32
    assert "Connection" not in seen
    ask(nginx.port, "a.example", **{"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https", "X-Request-Id": "mine"})
    _, _, seen, _ = one.seen[-1]
    assert seen["X-Forwarded-For"] == "9.9.9.9, 127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "https"
    assert seen["x-request-id"] == "mine"


@both
def test_headers_to_the_client(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    answer = ask(nginx.port, "a.example", **{"X-Request-Id": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-proxy-id"] == "proxy-1"
    assert answer.headers["x-server-info"] == "interlock/0.1.0 (0123abcd) linux/amd64"
    assert answer.headers["x-upstream-addr"] == f"127.0.0.1:{one.port}"
    assert float(answer.headers["x-upstream-response-time"]) < 5
    one.server.status = 404
    answer = ask(nginx.port, "a.example")
    assert answer.status == 404
    assert "x-request-id" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@both
def test_an_unknown_host_gets_our_page(nginx, backend: Make, method: str) -> None:
    nginx.control.start(files_for(nginx.renderer, view("a.example", backend("one").port)))
    answer = ask(nginx.port, "b.example", "/any/path", method, b"x" * 100_000 if method == "POST" else None)
    assert answer.status == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert method == "HEAD" or "Interlock" in answer.text
    assert not any(name.startswith("x-") for name in answer.headers)


@both
def test_the_default_host_answers_for_unknown_ones(nginx, backend: Make) -> None:
    one, rest = backend("one"), backend("rest")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port), view("_", rest.port)))
    assert ask(nginx.port, "a.example").text.startswith("one")
    assert ask(nginx.port, "b.example").text.startswith("rest")


@both
def test_wildcard_hosts(nginx, backend: Make) -> None:
    wild, exact = backend("wild"), backend("exact")
    nginx.control.start(files_for(nginx.renderer, view("*.a.example", wild.port), view("x.a.example", exact.port)))
    assert ask(nginx.port, "y.a.example").text.startswith("wild")
    assert ask(nginx.port, "x.a.example").text.startswith("exact")
    assert ask(nginx.port, "a.example").status == 503


def paths_view(app: Backend, admin: Backend, api: Backend) -> HostView:
    host = "a.example"
    routes = {"/app/admin": (admin, False), "/app": (app, False), "/api": (api, True)}
    return HostView(
        host=VirtualHost(
            host=host,
            routes=tuple(
                Route(path=path, rewrite=rewrite, upstream=upstream_name(host, path))
                for path, (_, rewrite) in routes.items()
            ),
        ),
        upstreams=tuple(upstream(host, (to(one.port, one.name),), path) for path, (one, _) in routes.items()),
    )


@both
def test_context_roots_match_whole_segments(nginx, backend: Make) -> None:
    app, admin, api = backend("app"), backend("admin"), backend("api")
    nginx.control.start(files_for(nginx.renderer, paths_view(app, admin, api)))

    def text(path: str) -> str:
        return ask(nginx.port, "a.example", path).text

    assert text("/app") == "app GET /app 0"
    assert text("/app/x%2Fy?q=1") == "app GET /app/x%2Fy?q=1 0"
    assert text("/app/admin") == "admin GET /app/admin 0"
    assert text("/app/admin/x") == "admin GET /app/admin/x 0"
    assert text("/app/administrator") == "app GET /app/administrator 0"
    for path in ("/", "/apple", "/apix", "/other"):
        assert ask(nginx.port, "a.example", path).status == 404, path


@both
def test_rewriting(nginx, backend: Make) -> None:
    app, admin, api = backend("app"), backend("admin"), backend("api")
    nginx.control.start(files_for(nginx.renderer, paths_view(app, admin, api)))
    assert ask(nginx.port, "a.example", "/api/users/7?q=1").text == "api GET /users/7?q=1 0"
    assert ask(nginx.port, "a.example", "/api/").text == "api GET / 0"
    assert ask(nginx.port, "a.example", "/api/users", "POST", b"12345").text == "api POST /users 5"
    # As docs/labels.md says: what follows a rewritten root is decoded and tidied, anything else arrives as it was sent.
    assert ask(nginx.port, "a.example", "/api/x%2Fy//z?q=%2F").text == "api GET /x/y/z?q=%2F 0"
    assert ask(nginx.port, "a.example", "/app/x%2Fy//z?q=%2F").text == "app GET /app/x%2Fy//z?q=%2F 0"
    moved = ask(nginx.port, "a.example", "/api?q=1")
    # Relative, so that the published port stays the client's business.
    assert (moved.status, moved.headers["location"]) == (301, "/api/?q=1")


@both
def test_a_path_without_endpoints_is_503_beside_one_that_has(nginx, backend: Make) -> None:
    one = backend("one")
    policy = virtual_host("a.example", "/", "/app")
    nginx.control.start(
        files_for(
            nginx.renderer,
            HostView(host=policy, upstreams=(upstream("a.example", (to(one.port, "t"),), "/"),)),
        )
    )
    assert ask(nginx.port, "a.example", "/").status == 200
    for path in ("/app", "/app/x"):
        assert ask(nginx.port, "a.example", path, "POST", b"x" * 50_000).status == 503


@both
def test_the_status_path_answers_on_every_host(nginx, backend: Make) -> None:
    nginx.control.start(files_for(nginx.renderer, view("a.example", backend("one").port)))
    for host in ("a.example", "unknown.example"):
        answer = ask(nginx.port, host, "/nginx_status")
        # The wheel's nginx lacks the module and says so.
        assert answer.text.startswith("Active connections") or (answer.status == 501 and "stub_status" in answer.text)


@both
def test_large_bodies_and_keep_alive(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    assert ask(nginx.port, "a.example", "/", "POST", b"x" * 3_000_000).text == "one POST / 3000000"
    assert ask(nginx.port, "a.example", "/", "POST", b"x" * 34_000_000).status == 413
    link = Idle(nginx.port)
    assert [link.request("a.example"), link.request("a.example")] == ["one GET / 0"] * 2
    link.close()


@both
def test_a_refusing_endpoint_does_not_fail_requests(nginx, backend: Make) -> None:
    one, dead = backend("one"), backend("dead")
    port = dead.port
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port, port)))
    dead.server.shutdown()
    dead.server.server_close()
    answers = [ask(nginx.port, "a.example", "/", "POST", b"x") for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
