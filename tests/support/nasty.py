"""Hypothesis strategies for labels as people (and attackers) write them, and for stacks gone wrong."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from interlock.labels.label import PREFIX
from interlock.labels.registry import LABELS
from interlock.model.swarm import Network, Service, Task
from support.chain import Chain, service

META = st.text(alphabet="ab/$\"'\\;{}#~*=^| \t\n\r\0\x7fé\ud7ff.:-_[]()<>%&@!,?+0", max_size=16)
_EXAMPLES = {
    "hosts": ["shop.test", "*.shop.test", "a.test,b.test", "A.Test., b.test ,", "münchen.test", "x--y.test"],
    "context_root": ["/app", "/", "/a/b", "/~u", "/a@b", "/a!b", "/$x", "/nginx_status"],
    "context_root_rewrite": ["true", "false", "TRUE", "yes"],
    "default_backend": ["true", "false", "1"],
    "websocket_endpoints": ["/ws", "/", "/ws,/live/", "ws", "/nginx_status,/a"],
    "sticky_session_cookie": ["session", "connect.sid", "a|b", "x$y", "a.b*c+", "JSESSIONID"],
    "ip_hash": ["true", "false"],
    "redirects": [
        "http://a.test,http://b.test", "http://shop.test,https://shop.test;", "http://a.test,http://b.test:81;x,y",
    ],
    "max_fails": ["0", "3", "x"],
    "fail_timeout": ["30s", "1m 30s", "10", "1ms"],
    "backend_mode": ["task", "vip", "default"],
    "network": ["web", "nowhere", ""],
    "service_cluster": ["", "~"],
}  # fmt: skip


def value(name: str) -> SearchStrategy[str]:
    """A value of a label: right, broken in one place, or nothing but metacharacters."""
    right = st.sampled_from(_EXAMPLES.get(name) or ["x", "true", ""])
    broken = st.builds(lambda text, junk, at: text[:at] + junk + text[at:], right, META, st.integers(0, 12))
    return st.one_of(right, right, broken, META)


_ESSENTIAL = {label.name.removeprefix(PREFIX) for label in LABELS.values() if label.essential} | {"network"}
_NAMES = [name for name in (label.removeprefix(PREFIX) for label in LABELS) if name not in {"hosts", "port"}]


def labels(port: int) -> SearchStrategy[dict[str, str]]:
    """The labels of a service. What keeps it from being routed is mostly right, so that the rest is put to use."""
    right = {
        "context_root": ["/app", "/", "/a/b", "/nginx_status"],
        "backend_mode": ["task", "vip"],
        "network": ["web", ""],
    }

    def some(*, wild: bool) -> SearchStrategy[dict[str, str]]:
        def one(name: str) -> SearchStrategy[str]:
            return value(name) if wild or name not in _ESSENTIAL else st.sampled_from(right.get(name, [""]))

        names = st.lists(st.sampled_from(_NAMES), max_size=5, unique=True)
        return names.flatmap(lambda found: st.fixed_dictionaries({name: one(name) for name in found}))

    beside = value("hosts").map(lambda text: f"shop.test,{text}")
    calm = st.tuples(some(wild=False), beside, st.sampled_from([str(port), f" {port} "]))
    wild = st.tuples(some(wild=True), value("hosts"), st.one_of(st.just(str(port)), value("port")))
    return (
        st.integers(0, 9)
        .flatmap(lambda n: wild if n == 9 else calm)
        .map(lambda found: {**found[0], "hosts": found[1], "port": found[2]})
    )


def stacks(port_of: Callable[[str], int]) -> SearchStrategy[list[Service]]:
    """A shop of five services, mutated: labels lost, swapped, broken; tasks and networks as they come."""
    given = {
        "site": {"hosts": "shop.test,www.shop.test", "redirects": "http://www.shop.test,http://shop.test"},
        "api": {"hosts": "shop.test", "context_root": "/api", "context_root_rewrite": "true", "max_fails": "3"},
        "chat": {"hosts": "chat.test", "websocket_endpoints": "/ws", "sticky_session_cookie": "sid"},
        "canary": {"hosts": "shop.test", "ip_hash": "true"},
        "rest": {"default_backend": "true", "hosts": ""},
    }
    bases = {name: {**base, "port": str(port_of(name))} for name, base in given.items()}
    one = st.sampled_from(sorted(bases)).flatmap(lambda name: _mutated(name, bases[name]))
    return st.lists(one, min_size=1, max_size=5, unique_by=lambda s: s.name)


def _mutated(name: str, base: dict[str, str]) -> SearchStrategy[Service]:
    change = st.sampled_from([*_NAMES, "hosts", *base]).flatmap(
        lambda key: st.one_of(value(key).map(lambda v: {key: v}), st.just({key: None}))
    )
    changes = st.lists(change, max_size=2)
    states = st.lists(st.sampled_from(["running", "shutdown", "failed"]), min_size=0, max_size=3)
    networks = st.sampled_from([("web",), ("web",), ("web", "back"), ()])

    def build(found: list[dict[str, str | None]], states: list[str], names: tuple[str, ...], day: int) -> Service:
        merged: dict[str, str | None] = dict(base)
        for each in found:
            merged.update(each)
        tasks = tuple(
            Task(id=f"{name}-{n}", state="running", desired=state, addresses={"n1": "127.0.0.1"})
            for n, state in enumerate(states or ["running"])
        )
        made = tuple(Network(id=f"n{n + 1}", name=each, vip="127.0.0.1") for n, each in enumerate(names))
        kept = {key: text for key, text in merged.items() if text is not None}
        return service(name, kept, tasks=tasks, networks=made, created=f"2024-01-0{day}T00:00:00Z")

    return st.builds(build, changes, states, networks, st.integers(1, 9))


def run_cases(chain: Chain, number: int, kind: str, start: int) -> None:
    """Draw and judge so many cases of a kind, `labels` or `stacks`; at least half must reach a live proxy."""
    drawn = labels(chain.backend.port) if kind == "labels" else stacks(chain.port_of)
    print(f"\n{kind}: {number} cases, seed {start}")

    @seed(start)
    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(drawn)
    def case(found: object) -> None:
        services = found if isinstance(found, list) else [service("shop", found)]  # type: ignore[arg-type]
        chain.serve(services)

    case()
    print(f"{chain.live} of {chain.cases} reached a live proxy")
    assert chain.live >= chain.cases / 2
