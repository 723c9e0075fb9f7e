"""The judge of drawn cases notices what must never be: each fault here is one that a renderer could have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.model.routing import Route, VirtualHost
from interlock.model.swarm import Service
from interlock_extension.nginx import render
from support.chain import Chain, service

_OTHER = {"/": "/api", "/api": "/"}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with Chain(tmp_path) as running:
        yield running


def shop(chain: Chain, **more: str) -> list[Service]:
    policies = {"websocket_endpoints": "/ws", "sticky_session_cookie": "sid", "max_fails": "2"}
    site = {"hosts": "shop.test", **policies, "port": str(chain.port_of("site"))}
    api = {"hosts": "shop.test", "context_root": "/api", "port": str(chain.port_of("api")), **more}
    return [service("site", site), service("api", api)]


REWRITTEN = {"context_root_rewrite": "true"}


def test_what_is_right_is_found_right(chain: Chain) -> None:
    chain.serve(shop(chain, **REWRITTEN))
    assert chain.live == 1


def _swapped(route: Route, host: VirtualHost) -> Route:
    [other] = [each.upstream for each in host.routes if each.path == _OTHER[route.path]]
    return msgspec.structs.replace(route, upstream=other)


@pytest.mark.parametrize(
    ("fault", "labels"),
    [
        (_swapped, {}),
        (lambda route, _: msgspec.structs.replace(route, rewrite=False), REWRITTEN),
        (lambda route, _: msgspec.structs.replace(route, rewrite=True), {}),
        (lambda route, _: msgspec.structs.replace(route, websockets=()), {}),
    ],
    ids=["two upstreams swapped", "a prefix not taken off", "a prefix taken off", "no connection upgraded"],
)
def test_a_location_that_is_wrong_is_noticed(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Route, VirtualHost], Route],
    labels: dict[str, str],
) -> None:
    locations = render._locations

    def wrong(route: Route, host: VirtualHost, served: Mapping[str, object]) -> list[dict[str, object]]:
        return locations(fault(route, host) if host.host == "shop.test" else route, host, served)

    monkeypatch.setattr(render, "_locations", wrong)
    with pytest.raises(AssertionError):
        chain.serve(shop(chain, **labels))


@pytest.mark.parametrize("lost", [{"sticky_cookie": ""}, {"passive": {}}], ids=str)
def test_a_policy_that_is_lost_is_noticed(chain: Chain, monkeypatch: pytest.MonkeyPatch, lost: dict[str, Any]) -> None:
    upstream = render.NginxRenderer._upstream

    def wrong(self: render.NginxRenderer, one: Any, policy: Route | None) -> dict[str, object]:
        return upstream(self, one, msgspec.structs.replace(policy, **lost) if policy else None)

    monkeypatch.setattr(render.NginxRenderer, "_upstream", wrong)
    with pytest.raises(AssertionError):
        chain.serve(shop(chain))
