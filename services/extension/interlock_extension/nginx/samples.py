"""A host of every kind, for trying what a user's template makes of it. Pure."""

from __future__ import annotations

from interlock.model.routing import DEFAULT_HOST, Endpoint, HostRedirect, PassiveChecks, Route, Upstream, VirtualHost
from interlock_extension.port import HostView


def _upstream(name: str) -> Upstream:
    one = Endpoint(address="192.0.2.1", port=80, task="t", service_id="s", service="sample")
    return Upstream(name=name, endpoints=(one,))


_ROUTES = (
    Route(path="/rewritten", rewrite=True, upstream="il_sample_a", services=("sample",)),
    Route(path="/empty", upstream="il_sample_empty", services=("sample",)),
    Route(
        path="/",
        upstream="il_sample_b",
        services=("sample",),
        websockets=("/ws",),
        sticky_cookie="sample.cookie",
        passive={"s": PassiveChecks(max_fails=1, fail_timeout=1)},
    ),
)
SAMPLES: tuple[HostView, ...] = (
    HostView(
        host=VirtualHost(host="sample.invalid", routes=_ROUTES),
        upstreams=(_upstream("il_sample_a"), _upstream("il_sample_b")),
    ),
    HostView(
        host=VirtualHost(
            host="moved.invalid",
            redirect=HostRedirect(target="https://sample.invalid", service="sample", service_id="s"),
        )
    ),
    HostView(
        host=VirtualHost(host=DEFAULT_HOST, routes=(Route(upstream="il_sample_c", services=("sample",)),)),
        upstreams=(_upstream("il_sample_c"),),
    ),
)
WITHOUT_DEFAULT: tuple[HostView, ...] = tuple(view for view in SAMPLES if view.host.host != DEFAULT_HOST)
"""Where nobody is the default backend, the main file answers unknown hosts."""
