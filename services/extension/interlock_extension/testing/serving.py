"""The contract of what is served: each label means on every proxy what `docs/labels.md` says."""

from __future__ import annotations

from interlock.model.routing import DEFAULT_HOST
from interlock_extension.testing.base import A, B, ContractBase, Make
from interlock_extension.testing.client import Connection
from interlock_extension.testing.listeners import free_port
from interlock_extension.testing.rig import Rig
from interlock_extension.testing.views import joined, redirected, served

_FRAME = b"\x81\x85\x01\x02\x03\x04igohn"
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class _Silent:
    """A task at whose port nobody listens."""

    name = "0-silent"

    def __init__(self) -> None:
        self.port = free_port()


class Serving(ContractBase):
    """Requests to endpoints."""

    def test_a_host_leads_to_all_of_its_endpoints_and_no_others(self, rig: Rig, backend: Make) -> None:
        rig.start(served(A, backend("one"), backend("two")), served(B, backend("three")))
        assert rig.answerers(A, 40) == {"one", "two"}
        assert rig.answerers(B) == {"three"}

    def test_an_endpoint_is_asked_what_the_proxy_was_asked(self, rig: Rig, backend: Make) -> None:
        """Method, path, query, body, host and headers; and it is told who asked."""
        one = backend("one")
        rig.start(served(A, one))
        body = b"x" * 100_000
        answer = rig.ask(A, "/x/%7Ey?q=1&r=a%20b", method="POST", body=body, headers={"X-Mine": "yes"})
        assert answer.text == "one /x/%7Ey?q=1&r=a%20b"
        [asked] = one.requests
        assert (asked.method, asked.path, asked.body) == ("POST", "/x/%7Ey?q=1&r=a%20b", body)
        assert (asked.headers["host"], asked.headers["x-mine"]) == (A, "yes")
        assert asked.headers["x-forwarded-for"].rpartition(", ")[2] == "127.0.0.1"
        assert asked.headers["x-forwarded-proto"] == "http"

    def test_a_name_is_the_same_in_any_case_with_a_port_and_a_final_dot(self, rig: Rig, backend: Make) -> None:
        rig.start(served("shop.example.org", backend("one")), served(f"*.{A}", backend("two")))
        for name in ("shop.example.org", "SHOP.example.org", "shop.example.org:8080", "SHOP.example.org.:8080"):
            assert rig.ask(name).by == "one", name
        for name in (f"x.{A}.", f"X.{A.upper()}:80"):
            assert rig.ask(name).by == "two", name

    def test_the_longest_path_wins_and_matches_whole_segments(self, rig: Rig, backend: Make) -> None:
        one, app, deep = backend("one"), backend("app"), backend("deep")
        rig.start(joined(served(A, one), served(A, app, path="/app"), served(A, deep, path="/app/deep")))
        by = {path: rig.ask(A, path).by for path in ("/", "/apple", "/app", "/app/", "/app?q", "/app/x", "/app/deep/x")}
        assert by == {
            "/": "one", "/apple": "one", "/app": "app", "/app/": "app", "/app?q": "app", "/app/x": "app",
            "/app/deep/x": "deep",
        }  # fmt: skip

    def test_a_path_that_no_route_has_is_not_found(self, rig: Rig, backend: Make) -> None:
        rig.start(served(A, backend("one"), path="/app"), served(DEFAULT_HOST, backend("default")))
        assert rig.ask(A, "/app/x").by == "one"
        assert rig.ask(A, "/other").status == 404

    def test_a_rewrite_takes_the_prefix_off(self, rig: Rig, backend: Make) -> None:
        rig.start(joined(served(A, backend("app"), path="/app", rewrite=True), served(A, backend("one"))))
        assert rig.ask(A, "/app/x/y?q=1").text == "app /x/y?q=1"
        assert rig.ask(A, "/app/").text == "app /"
        assert rig.ask(A, "/apple").text == "one /apple"
        bare = rig.ask(A, "/app")
        assert bare.status in {301, 302, 307, 308}
        assert bare.headers["location"].endswith("/app/")

    def test_an_exact_name_wins_over_a_wildcard_and_that_over_the_default(self, rig: Rig, backend: Make) -> None:
        names = {f"x.{A}": "exact", f"*.{A}": "wildcard", DEFAULT_HOST: "default"}
        rig.start(*(served(host, backend(name)) for host, name in names.items()))
        asked = (f"x.{A}", f"y.{A}", A, "other.example")
        assert [rig.ask(host).by for host in asked] == ["exact", "wildcard", "default", "default"]

    def test_an_unknown_host_answers_503(self, rig: Rig, backend: Make) -> None:
        rig.start(served(A, backend("one")))
        assert [rig.ask(host).status for host in (B, f"x.{A}", "127.0.0.1")] == [503] * 3

    def test_a_claimed_host_without_endpoints_answers_503_and_nobody_in_its_place(
        self, rig: Rig, backend: Make
    ) -> None:
        rig.start(served(f"x.{A}"), served(f"*.{A}", backend("wildcard")), served(DEFAULT_HOST, backend("default")))
        assert rig.ask(f"x.{A}").status == 503
        refused = rig.renderer.file_of(f"y.{A}")
        rig.put({refused: rig.renderer.unserved(f"y.{A}")})
        assert rig.ask(f"y.{A}").status == 503
        assert rig.ask(f"z.{A}").by == "wildcard"

    def test_a_path_without_endpoints_answers_503_and_its_neighbours_go_on(self, rig: Rig, backend: Make) -> None:
        rig.start(joined(served(A, backend("one")), served(A, path="/app")))
        assert rig.ask(A, "/app/x").status == 503
        assert rig.ask(A, "/").by == "one"

    def test_a_redirect_keeps_path_and_query(self, rig: Rig, backend: Make) -> None:
        rig.start(redirected("old.example", "https://new.example:8443"), served(A, backend("one")))
        answer = rig.ask("old.example", "/x/%7Ey?q=1&r=a%20b")
        assert (answer.status, answer.headers["location"]) == (302, "https://new.example:8443/x/%7Ey?q=1&r=a%20b")
        assert rig.ask(A).by == "one"

    def test_an_endpoint_that_refuses_costs_no_request(self, rig: Rig, backend: Make) -> None:
        """It is tried elsewhere; without `next_endpoint`, somebody else's requests go on at least."""
        rig.start(served(A, _Silent(), backend("one")), served(B, backend("two")))
        if "next_endpoint" not in self.lacks:
            assert rig.answerers(A) == {"one"}
        assert rig.answerers(B) == {"two"}

    def test_a_sticky_cookie_leads_to_the_same_endpoint(self, rig: Rig, backend: Make) -> None:
        rig.start(served(A, backend("one"), backend("two"), sticky_cookie="my-session"))
        by = {n: {rig.ask(A, headers={"Cookie": f"x=1; my-session={n}"}).by for _ in range(4)} for n in range(16)}
        assert set().union(*by.values()) == {"one", "two"}
        if "sticky_cookie" not in self.lacks:
            assert [names for names in by.values() if len(names) > 1] == []
        assert rig.ask(A).status == 200

    def test_ip_hash_leads_a_client_to_the_same_endpoint(self, rig: Rig, backend: Make) -> None:
        rig.start(served(A, backend("one"), backend("two"), ip_hash=True))
        found = rig.answerers(A, 20)
        assert found <= {"one", "two"}
        assert len(found) == 1 or "ip_hash" in self.lacks

    def test_a_websocket_is_opened_where_the_label_says_and_nowhere_else(self, rig: Rig, backend: Make) -> None:
        rig.start(served(A, backend("one"), websockets=("/ws",)))
        assert rig.ask(A, "/other", headers=_UPGRADE | {"Connection": "Upgrade, close"}).status == 200
        with Connection(rig.where) as link:
            answer = link.ask(A, "/ws/x", headers=_UPGRADE)
            if "websockets" in self.lacks:
                assert answer.by == "one"
                return
            assert answer.status == 101
            assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            link.socket.sendall(_FRAME)
            assert link.socket.recv(100) == _FRAME
