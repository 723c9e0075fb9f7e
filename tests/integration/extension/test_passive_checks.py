"""Passive checks on every proxy: what requests meet of a task that fails, whatever the configuration looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from interlock.model.routing import PassiveChecks
from interlock_extension import registry
from interlock_extension.port import Change, Control, HostView, Renderer, Settings
from support.nginx_lab import Backend, ask, until, view
from support.ports import free_port

HOST = "a.example"


class Proxy:
    """One proxy of any kind, with one host."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.port = kind, free_port()
        options = {"AccessLogPath": "off", "WorkerProcesses": 1}
        settings = Settings(folder=folder, listen=(f"127.0.0.1:{self.port}",), options=options)
        opened: tuple[Renderer, Control] = registry.load(kind).open(settings)
        self.renderer, self.control = opened
        self.before: HostView | None = None

    def serve(self, now: HostView) -> None:
        """The host as it is from now on: by its start, in place where the proxy can, else by a reload."""
        files = {self.renderer.file_of(HOST): self.renderer.host(now)}
        if self.before is None:
            self.control.start({**self.renderer.shared(1, len(HOST), default=False), **files})
        elif "routes" in self.control.in_place:
            self.control.apply_delta(Change(hosts={HOST: (self.before, now)}, files=dict(files)), "next")
        else:
            self.control.apply_snapshot(files, "next")
        self.before = now

    def asked(self, backends: list[Backend], times: int = 12) -> list[int]:
        """How many requests each backend gets of so many."""
        for backend in backends:
            backend.seen.clear()
        assert {ask(self.port, HOST).status for _ in range(times)} == {200}
        return [len(backend.seen) for backend in backends]


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(request.param, tmp_path / "proxy")
    yield made
    made.control.stop(1.0)


def checked(made: HostView, **checks: int) -> HostView:
    """The same host, where the service of its tasks has passive checks."""
    [route] = made.host.routes
    [upstream] = made.upstreams
    passive = {endpoint.service_id: PassiveChecks(**checks) for endpoint in upstream.endpoints}
    routes = (msgspec.structs.replace(route, passive=passive),)
    return msgspec.structs.replace(made, host=msgspec.structs.replace(made.host, routes=routes))


@pytest.mark.parametrize("by", ["start", "change"])
def test_case_38_a_task_that_fails_gets_nothing_for_a_while(
    proxy: Proxy, backend: Callable[..., Backend], by: str
) -> None:
    """Case 38 by its meaning; no request fails, since another task is asked."""
    good, late = backend("good"), free_port()
    plain = view(HOST, good.port, late)
    if by == "change":
        proxy.serve(plain)
    proxy.serve(checked(plain, max_fails=3, fail_timeout=2))
    assert proxy.asked([good]) == [12]
    bad = backend("bad", late)
    assert proxy.asked([good, bad]) == [12, 0]
    until(lambda: all(proxy.asked([good, bad], 6)), "it is asked again")


def test_which_failed_attempts_count(proxy: Proxy, backend: Callable[..., Backend]) -> None:
    """With nginx those with an answer of 5xx too; HAProxy asks another task each time, and no request fails either."""
    good, bad = backend("good"), backend("bad")
    proxy.serve(checked(view(HOST, good.port, bad.port), max_fails=3, fail_timeout=60))
    bad.server.status = 503
    assert sum(proxy.asked([bad], 30)) in ([3] if proxy.kind == "nginx" else range(14, 31))


def test_who_is_alone_is_never_left_out(proxy: Proxy, backend: Callable[..., Backend]) -> None:
    only = backend("only")
    proxy.serve(checked(view(HOST, only.port), max_fails=1, fail_timeout=60))
    only.server.status = 503
    assert {ask(proxy.port, HOST).status for _ in range(6)} == {503}
    only.server.status = 200
    assert proxy.asked([only], 6) == [6]


def test_zero_turns_them_off(proxy: Proxy, backend: Callable[..., Backend]) -> None:
    good, bad = backend("good"), backend("bad")
    proxy.serve(checked(view(HOST, good.port, bad.port), max_fails=0))
    bad.server.status = 503
    assert proxy.asked([good, bad], 20)[1] >= 8
