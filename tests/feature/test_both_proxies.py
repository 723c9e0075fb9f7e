"""One stack that uses every label, and a table of questions that nginx and HAProxy must answer alike.

What a proxy makes of a request that no client sends may differ, as long as no service sees it: that is not asked here.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from interlock.labels.registry import LABELS
from support.pipeline import KINDS, PREFIX, Pipeline
from support.raw_questions import OURS, Heard, Question, ask
from support.steps import settled

NGINX, HAPROXY = (KINDS.index(kind) for kind in ("nginx", "haproxy"))
SHOP, PATHS, CHAT, OLD = "shop.example.org", "paths.example.org", "chat.example.org", "old.example.org"
SOCKET = ("Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
MOST_SEGMENTS = "/a" * 256
"""As many segments as a label's path can have."""
LATER = ("ssl_cert", "ssl_key", "ssl_only", "ssl_passthrough", "ssl_backend", "ssl_backend_tls_verify")

STACK: dict[str, dict[str, str]] = {
    "shop": {
        "hosts": "SHOP.Example.org, www.example.org.", "network": "web", "max_fails": "3", "fail_timeout": "5s",
        "port": "9090", "service_cluster": "", **dict.fromkeys(LATER, "true"),
    },
    "wild": {"hosts": "*.apps.example.org"},
    "deep": {"hosts": "*.deep.apps.example.org"},
    "exact": {"hosts": "one.apps.example.org"},
    "site": {"hosts": PATHS, "ip_hash": "true"},
    "api": {"hosts": PATHS, "context_root": "/api"},
    "cut": {"hosts": PATHS, "context_root": "/api/v2", "context_root_rewrite": "true"},
    "longest": {"hosts": PATHS, "context_root": MOST_SEGMENTS, "context_root_rewrite": "true"},
    "rooted": {"hosts": "rooted.example.org", "context_root": "/app"},
    "vip": {"hosts": "vip.example.org", "backend_mode": "vip"},
    "chat": {"hosts": CHAT, "websocket_endpoints": "/ws,/live"},
    "sticky": {"hosts": "sticky.example.org", "sticky_session_cookie": "session"},
    "moved": {
        "hosts": f"{OLD},older.example.org,new.example.org",
        "redirects": f"http://{OLD},http://new.example.org;http://older.example.org,https://new.example.org:8443/base",
    },
    "elsewhere": {"hosts": "elsewhere.example.org", "service_cluster": "other"},
    "empty": {"hosts": "empty.example.org"},
}  # fmt: skip


@pytest.fixture(scope="module")
def stack(installation: Pipeline) -> Iterator[Pipeline]:
    for network in ("web", "other"):
        if network not in {each["Name"] for each in installation.sim.call("GET", "/networks")}:
            installation.sim.create_network(network)
    names = [name for name in STACK if name != "elsewhere"]
    for name in names:
        more: dict[str, object] = {"env": {"PORT": "9090"}, "networks": ["web", "other"]} if name == "shop" else {}
        installation.service(name, labels=STACK[name], replicas=0 if name == "empty" else 1, **more)
    installation.wait_effective(*(name for name in names if name not in {"empty", "vip"}), timeout=60)
    for worker in range(len(KINDS)):
        installation.wait_routed("vip.example.org", worker=worker)
    # Of a cluster that has no proxy: it is never in effect.
    installation.service("elsewhere", labels=STACK["elsewhere"])
    installation.wait(lambda: any(c.services for c in installation.status().clusters if c.cluster), "it is seen")
    yield installation
    installation.sim.reset()
    installation.wait(lambda: settled(installation) and not installation.routes(), "nothing is served any more")


Case = tuple[Question, dict[str, object]]


def q(host: str | bytes | None, target: str = "/", **more: object) -> Question:
    return Question(host=host, target=target, **more)  # type: ignore[arg-type]  # by name


def served(service: str, target: str, **more: object) -> dict[str, object]:
    return {"status": 200, "service": service, "target": target, "ours": frozenset(OURS), **more}


def moved(status: int, location: str) -> dict[str, object]:
    return {"status": status, "location": location, "service": "", "ours": frozenset(OURS[:3])}


def refused(status: int) -> dict[str, object]:
    """By the proxy itself."""
    return {"status": status, "service": "", "ours": frozenset(), "page": status == 503}


def same(host: str, service: str, *targets: str) -> list[Case]:
    """Each arrives as it was sent."""
    return [(q(host, target), served(service, target)) for target in targets]


NAMES: list[Case] = [
    *((q(host), served("shop", "/")) for host in (
        SHOP, "SHOP.example.org.:8080", "shop.EXAMPLE.org:80", "www.example.org",
    )),
    (q("one.apps.example.org"), served("exact", "/")),
    (q("two.apps.example.org"), served("wild", "/")),
    (q("a.two.APPS.example.org.:81"), served("wild", "/")),
    (q("deep.apps.example.org"), served("wild", "/")),
    (q("x.deep.apps.example.org"), served("deep", "/")),
    (q("vip.example.org"), served("vip", "/")),
    (q("sticky.example.org", headers=("Cookie: session=abc",)), served("sticky", "/")),
    *((q(host, "/a?b"), refused(503)) for host in (
        "nobody.test", "apps.example.org", "example.org", f"x{SHOP}", f"{SHOP}.x", "elsewhere.example.org",
        "empty.example.org", "127.0.0.1", "[::1]:80", f".{SHOP}",
    )),
    *((q("nobody.test", method=method, body=b"x" * 9), refused(503)) for method in ("POST", "PUT")),
    (q("nobody.test", method="HEAD"), {**refused(503), "page": False}),
    (q(None, protocol="HTTP/1.0"), refused(503)),
    *((q(host), refused(400)) for host in (None, "", "a b", "a@b", "a/b", "a..b", "x/y.apps.example.org")),
    (q(SHOP, headers=("Host: other.test",)), refused(400)),
]  # fmt: skip

GOOD_HOSTS = (
    "a",
    "a.",
    "A.B.:8080",
    ".a",
    "a:",
    "a:0",
    "a:65535",
    "a:0000000065535",
    "a.:80",
    "_",
    "-",
    "*",
    "*.a",
    "a_b",
    "a,b",
    "a%zz",
    "!$%&'()*+,-.09;=AZ_az~",
    "127.0.0.1:80",
    "1.2.3.4.",
    "[::1]",
    "[::1]:80",
    "[::1]:",
    "[v1.a:b]",
    "[]",
    "[.]",
    "[::ffff:1.2.3.4]",
    "[!$&'()*+,-.09:;=AZ_az~]",
    "a" * 300,
    "a." * 200,
)
BAD_HOSTS: tuple[str | bytes, ...] = (
    "", " ", ".", "..", ".:80", ":", ":80", "a..", "a..b", "..a", "a..:80", f"{SHOP}..", f"{SHOP}.:80.", f"{SHOP}:abc",
    "a:abc", f"{SHOP}:99999", f"{SHOP}:65536", "a:65536", "a:070000", "a:655350", "a:100000", "a:-1", "a:+1", "a:8 0",
    "a:80:80", "a::80", "a:.80", "::1", "[::1", "[::1]]", "[::1]x", "[::1].", "[::1]:x", "x[::1]", "[a..b]",
    "[fe80::1%1]", "a b", b"a\0", f"{SHOP}\0".encode(), "bücher.example", "[ü]", b"a\xff", b"\x80",
    *(f"a{character}b" for character in '"#/<>?@[\\]^`{|}\x01\x1f\x7f\t'),
)  # fmt: skip

TARGETS: list[Case] = [
    *same(
        SHOP, "shop", "/", "/?", "/a%20b?x=%2F&y", "/a//b", "//a/b", "/a/./b/../c", "/a/%2e%2e/b", "/a/..",
        "/a%2F..%2Fb", "/a;b=c", "/?a=http://x/../y", "/.well-known/x", "/a/...", "/%41%3a", "/a/",
    ),
    *((q(SHOP, target), refused(400)) for target in (
        "/..", "/../x", "/a/../../x", "/%2e%2e/x", "/..%2fx", "/a%00b", "/a%zz", "/a%2", "/%", "*",
    )),
    (q(SHOP, f"http://{SHOP}/abs/../x?y=1"), served("shop", "/abs/../x?y=1")),
    (q(SHOP, "HTTP://SHOP.example.org/abs"), served("shop", "/abs")),
    (q(SHOP, f"http://{SHOP}"), served("shop", "/")),
    *same(PATHS, "site", "/", "/x", "/apix", "/API/x", "/api/../x", "/api%2f../x"),
    *same(PATHS, "api", "/api", "/api/", "/api/x?y", "/%61pi/x", "/api%2Fx", "//api//x", "/x/../api", "/api/v2x",
          "/api/v2/.."),
    *same("rooted.example.org", "rooted", "/app", "/app/x", "/x/%2e%2e/app"),
    *((q("rooted.example.org", target), refused(404)) for target in ("/", "/apple", "/App", "/app/..")),
    *((q(PATHS, target), served("cut", seen)) for target, seen in {
        "/api/v2/": "/", "/api/v2/x?q=%2F%41//": "/x?q=%2F%41//", "/api/v2//x//y": "/x/y", "/api/v2/a%2Fb": "/a/b",
        "/api/v2/a/../b/./c": "/b/c", "/%61pi/v2/x": "/x", "//api//v2/x": "/x", "/api/v2%2Fx": "/x", "/api/v2/%2F": "/",
        "/api/v2/%20": "/%20", "/api/v2/%25": "/%25", "/api/v2/%3F": "/%3F", "/api/v2/%C3%A4": "/%C3%A4",
        "/api/v2/a:b@c+d": "/a:b@c+d", "/api/x/../v2/y": "/y",
    }.items()),
    *((q(PATHS, target), moved(301, location)) for target, location in {
        "/api/v2": "/api/v2/", "/api/v2?x=1&y": "/api/v2/?x=1&y", "/x/../api//v2": "/api/v2/",
    }.items()),
    *((q(OLD, target), moved(302, f"http://new.example.org{target}")) for target in (
        "/", "/a/../b%2F//c?x=1", "//other.test/x",
    )),
    (q(PATHS, f"{MOST_SEGMENTS}/a/x?y"), served("longest", "/a/x?y")),
    (q(PATHS, f"{MOST_SEGMENTS}?x=1"), moved(301, f"{MOST_SEGMENTS}/?x=1")),
    *same(PATHS, "site", MOST_SEGMENTS.removesuffix("/a")),
    (q(OLD, f"http://{OLD}/abs?x"), moved(302, "http://new.example.org/abs?x")),
    (q(OLD, method="POST", body=b"x"), moved(302, "http://new.example.org/")),
    (q(OLD, method="HEAD"), moved(302, "http://new.example.org/")),
    (q("older.example.org", "/a?b"), moved(302, "https://new.example.org:8443/base/a?b")),
    (q("new.example.org", "/a?b"), served("moved", "/a?b")),
]  # fmt: skip

METHODS: list[Case] = [
    *((q(SHOP, method=method), served("shop", "/", method=method)) for method in ("OPTIONS", "DELETE", "PURGE")),
    *((q(SHOP, method=method, body=b"x" * 70_000), served("shop", "/", method=method, body_bytes=70_000))
      for method in ("POST", "PUT", "PATCH")),
    (q(SHOP, method="HEAD"), {"status": 200, "service": "shop", "ours": frozenset(OURS)}),
    (q(SHOP, method="POST", length=2_000_000_000), refused(413)),
    (q(SHOP, method="TRACE"), refused(405)),
    (q(SHOP, "*", method="OPTIONS"), refused(400)),
    *((q(SHOP, f"/?status={n}"), {"status": n, "service": "shop", "ours": frozenset(OURS)}) for n in (201, 204, 304)),
    *((q(SHOP, f"/?status={n}"), {"status": n, "service": "shop", "ours": frozenset()}) for n in (404, 410, 500, 503)),
    (q(SHOP, "/?abort=1"), refused(502)),
]  # fmt: skip

HEADERS: list[tuple[Question, dict[str, str | None]]] = [
    (q("SHOP.example.org.:8080"), {
        "host": "SHOP.example.org.:8080", "x-real-ip": "127.0.0.1", "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http", "x-request-id": "made", "upgrade": None, "connection": None,
    }),
    (q(SHOP, headers=("X-Forwarded-For: 192.0.2.7, 192.0.2.8", "X-Forwarded-Proto: https", "X-Real-IP: 192.0.2.9")), {
        "x-forwarded-for": "192.0.2.7, 192.0.2.8, 127.0.0.1", "x-forwarded-proto": "https", "x-real-ip": "127.0.0.1",
    }),
    (q(SHOP, headers=("X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 192.0.2.8")), {
        "x-forwarded-for": "192.0.2.7, 192.0.2.8, 127.0.0.1",
    }),
    (q(SHOP, headers=("x-request-id: outer-42", "X-Forwarded-Proto:")), {
        "x-request-id": "outer-42", "x-forwarded-proto": "http",
    }),
    (q(SHOP, headers=("x-request-id: two words",)), {"x-request-id": "made"}),
    (q(SHOP, headers=("X_Real_IP: 192.0.2.9", "Cookie: a=1; b=2", "X-Forwarded-Host: x", "Forwarded: for=x")), {
        "x_real_ip": None, "cookie": "a=1; b=2", "x-forwarded-host": "x", "forwarded": "for=x",
    }),
    (q(SHOP, headers=("Connection: close, Upgrade", "Upgrade: other")), {"upgrade": None, "connection": None}),
    (q(CHAT, headers=("Connection: close, Upgrade", "Upgrade: other")), {"upgrade": None, "connection": None}),
    (q(CHAT, "/wsx", headers=("Connection: Upgrade, close", "Upgrade: other")), {"upgrade": None, "connection": None}),
    (q(CHAT, "/ws", headers=("Connection: Upgrade, close", "Upgrade: other")), {
        "upgrade": "other", "connection": "upgrade",
    }),
]  # fmt: skip


def both(pipeline: Pipeline, question: Question) -> tuple[Heard, Heard]:
    return ask(pipeline.ports[NGINX], question), ask(pipeline.ports[HAPROXY], question)


def named(question: Question) -> str:
    return f"{question.method} {question.host!r} {question.target} {'; '.join(question.headers)}"


def different(answers: tuple[Heard, Heard], expected: dict[str, object]) -> dict[str, object]:
    """What each proxy says else; and where they differ from each other."""
    found: dict[str, object] = {}
    for kind, heard in zip(("nginx", "haproxy"), answers, strict=True):
        said = msgspec.structs.asdict(heard)
        found |= {f"{kind} {key}": said[key] for key, value in expected.items() if said[key] != value}
    one, other = (msgspec.structs.asdict(heard) for heard in answers)
    found |= {f"both {key}": (one[key], other[key]) for key in one if key != "seen" and one[key] != other[key]}
    return found


@pytest.mark.parametrize("table", [NAMES, TARGETS, METHODS], ids=["names", "targets", "methods"])
def test_both_answer_alike_and_as_they_should(stack: Pipeline, table: list[Case]) -> None:
    found = {}
    for question, expected in table:
        if wrong := different(both(stack, question), expected):
            found[named(question)] = wrong
    assert found == {}


def test_both_take_the_same_for_a_host(stack: Pipeline) -> None:
    """Good ones that nobody claims are for the default host, which answers 503 here."""
    ports = (stack.ports[NGINX], stack.ports[HAPROXY])
    found: dict[str | bytes, object] = {}
    for hosts, status in ((GOOD_HOSTS, 503), (BAD_HOSTS, 400)):
        for host in hosts:
            answers = [ask(port, q(host)).status for port in ports]
            if answers != [status, status]:
                found[host] = answers
    assert found == {}
    assert [ask(port, q("", protocol="HTTP/1.0")).status for port in ports] == [400, 400]


def test_both_take_as_many_headers(stack: Pipeline) -> None:
    """As many as nginx allows, within 15 kB."""
    ports = (stack.ports[NGINX], stack.ports[HAPROXY])
    many = tuple(f"X-{n}: a" for n in range(1_000 - len(("Host", "Connection"))))
    for headers in (many, (f"Cookie: {'a' * 7_900}", *many[:300])):
        heard = [ask(port, q(SHOP, headers=headers)) for port in ports]
        assert [each.status for each in heard] == [200, 200]
        assert heard[0].seen == heard[1].seen
        assert len(heard[0].seen) > len(headers)
    assert [ask(port, q(SHOP, headers=(*many, "X-More: a"))).status for port in ports] == [400, 400]


def test_services_see_the_same_headers_behind_both(stack: Pipeline) -> None:
    found = {}
    for question, expected in HEADERS:
        one, other = ({name: ", ".join(said).lower() for name, said in h.seen.items()} for h in both(stack, question))
        wrong = {
            name: (one.get(name), other.get(name))
            for name, value in expected.items()
            if not one.get(name) == other.get(name) == (value and value.lower())
        }
        if wrong or one != other:
            found[named(question)] = (wrong, one, other)
    assert found == {}


def test_websockets_are_opened_where_they_are_asked_for(stack: Pipeline) -> None:
    for target, status in {"/ws": 101, "/live/x": 101, "/ws/../ws": 101, "/": 200, "/wsx": 200, "/%77s": 101}.items():
        question = q(
            CHAT, target, headers=("Connection: Upgrade, close" if status == 200 else "Connection: Upgrade", *SOCKET)
        )
        answers = both(stack, question)
        assert [heard.status for heard in answers] == [status, status], target


def test_the_default_backend_takes_what_nobody_names(stack: Pipeline) -> None:
    """And no more: a host that is claimed, a bad one and a redirected one are not its."""
    stack.sim.create_service(
        "rest", labels={PREFIX + "default_backend": "true", PREFIX + "port": "8080"}, networks=["web"]
    )
    try:
        for worker in range(len(KINDS)):
            stack.wait_routed("nobody.test", worker=worker)
        table: list[Case] = [
            *((q(host, "/a//b?c"), served("rest", "/a//b?c")) for host in ("nobody.test", "127.0.0.1:81", "[::1]")),
            (q(None, protocol="HTTP/1.0"), served("rest", "/")),
            (q("empty.example.org"), refused(503)),
            (q("rooted.example.org"), refused(404)),
            (q(SHOP), served("shop", "/")),
            (q("two.apps.example.org"), served("wild", "/")),
            *((q(host), refused(400)) for host in ("", "a/b", "a..b", None)),
        ]
        assert {named(each): wrong for each, said in table if (wrong := different(both(stack, each), said))} == {}
    finally:
        stack.sim.remove("rest")
    for worker in range(len(KINDS)):
        stack.wait_unrouted("nobody.test", worker=worker)


def test_every_label_is_in_the_stack() -> None:
    used = {key for labels in STACK.values() for key in labels} | {"default_backend"}
    assert used == {name.removeprefix(PREFIX) for name in LABELS}
