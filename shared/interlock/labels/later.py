"""Labels of Interlock that we know and do not act on yet: name to what is missing meanwhile."""

from __future__ import annotations

from interlock.labels.label import PREFIX

LATER: dict[str, str] = {
    f"{PREFIX}{name}": without
    for name, without in {
        "fail_timeout": "the proxy's own value applies",
        "ip_hash": "requests are spread over all endpoints",
        "max_fails": "the proxy's own value applies",
        "redirects": "the hosts are served, not redirected",
        "ssl_backend": "endpoints are asked over plain HTTP",
        "ssl_backend_tls_verify": "endpoints are asked over plain HTTP",
        "ssl_cert": "the hosts are served over plain HTTP only",
        "ssl_key": "the hosts are served over plain HTTP only",
        "ssl_only": "the hosts are served over plain HTTP only",
        "ssl_passthrough": "the hosts are served over plain HTTP only",
        "sticky_session_cookie": "requests are spread over all endpoints",
        "websocket_endpoints": "no location has settings of its own",
    }.items()
}
