"""Labels of the HTTP Routing Mesh (UCP 2.x), `com.docker.ucp.mesh.http[.x]`, as labels of today. Pure.

Each label is a route; today's labels say one thing of a whole service. So the first route that serves decides the port
and whether TLS is passed through, and other routes join where they agree.
"""

from __future__ import annotations

import re

import msgspec

from interlock_importer.old import Desk, Mapped, has_variable, listed, only
from interlock_importer.stack import Network, Service

_FAMILY = "com.docker.ucp.mesh."
PREFIX = f"{_FAMILY}http"

_OF_UCP_2_0 = re.compile(r"(?:(?P<port>[0-9]+)=)?(?P<url>[a-z]+://.*)", re.IGNORECASE)
_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<host>.*?)/?")
_WITH_PORT = re.compile(r"(?P<host>.+):[0-9]+")
_KEYS = ("external_route", "internal_port", "sticky_sessions", "redirect", "include_forwarded_for")
_ANOTHER = "Deploy it a second time as a service of its own with that route, or keep only one of the two"


class _Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `key` and `value` are of the label that it stands in; `host` is empty for the default."""

    key: str
    value: str
    scheme: str
    host: str
    port: str
    cookie: str
    redirect: str


def claims(key: str) -> bool:
    """Whether a label is one of HRM's."""
    return key == PREFIX or key.startswith(f"{PREFIX}.")


def translate(service: Service) -> Mapped:
    """What a service's HRM labels amount to."""
    desk = Desk(service.name)
    for key, value in service.container_labels.items():
        if claims(key):
            remedy = "Move it to deploy.labels if it was meant to route"
            desk.note("unmapped", key, value, "is a container label; HRM read labels of services only", remedy)
    for key, value in (*service.labels.items(), *service.container_labels.items()):
        if key.startswith(_FAMILY) and not claims(key):
            remedy = f"Write {PREFIX}, or {PREFIX}.1 and so on, if it was meant to route; else remove it"
            desk.note("unmapped", key, value, "is no label that HRM read", remedy)
    routes = [
        route for key, value in service.labels.items() if claims(key) for route in _routes(desk, key, value, service)
    ]
    serving = _serving(desk, [route for route in routes if not route.redirect])
    redirected = [route for route in routes if route.redirect and _can_redirect(desk, route)]
    _say(desk, serving, redirected)
    if routes:
        _choose_network(desk, service.networks)
    return desk.mapped()


def _say(desk: Desk, serving: list[_Route], redirected: list[_Route]) -> None:
    """The labels for routes that map."""
    hosts = listed(route.host for route in (*serving, *redirected))
    if hosts:
        desk.set("hosts", hosts)
    first = serving[0] if serving else None
    port = first.port if first else next((route.port for route in redirected if route.port), "")
    if port:
        desk.set("port", port)
    if any(not route.host for route in serving):
        desk.set("default_backend", "true")
    if first and first.scheme == "sni":
        desk.set("ssl_passthrough", "true")
    if first and first.cookie:
        desk.set("sticky_session_cookie", first.cookie)
    if redirected:
        pairs = dict.fromkeys(f"http://{route.host},{_target(route.redirect)}" for route in redirected)
        desk.set("redirects", ";".join(pairs))
    routed = {route.host for route in serving if route.scheme == "http"}
    for route in redirected:
        if route.host in routed:
            reason = f"{route.host} is routed by another label too; here a host that is redirected serves nothing else"
            desk.note("differs", route.key, route.value, reason)


def _routes(desk: Desk, key: str, value: str, service: Service) -> list[_Route]:
    """The routes that one label holds; usually one."""
    options: dict[str, str] = {}
    urls: list[tuple[str, str]] = []
    for part in filter(None, (each.strip() for each in value.split(","))):
        name, _, text = (each.strip() for each in part.partition("="))
        old = _OF_UCP_2_0.fullmatch(part)
        if name in _KEYS:
            options[name] = text
        elif old:
            urls.append((old["port"] or "", old["url"]))
        else:
            desk.note("unmapped", key, part, "is nothing that HRM is known to read", "Remove it, or say it by hand")
    if "external_route" in options:
        urls.insert(0, ("", options["external_route"]))
    if not urls:
        remedy = "Write external_route=http://HOST, or remove the label"
        desk.note("unmapped", key, value, "names no external_route, so it routes nothing", remedy)
    if "include_forwarded_for" in options:
        reason = "X-Forwarded-For is always sent on; it needs no label"
        desk.note("mapped", key, f"include_forwarded_for={options['include_forwarded_for']}", reason)
    port = options.get("internal_port", "") or only(service.ports)
    found = (_route(desk, (key, value), url, port=own or port, options=options) for own, url in urls)
    return [route for route in found if route is not None]


def _route(desk: Desk, label: tuple[str, str], url: str, *, port: str, options: dict[str, str]) -> _Route | None:
    key, value = label
    parsed = _URL.fullmatch(url)
    scheme = parsed["scheme"].lower() if parsed else ""
    if parsed is None or scheme not in ("http", "sni"):
        if has_variable(url):
            reason = "holds a variable where http:// or sni:// belongs, so what it routes cannot be told"
            desk.note("unmapped", key, url, reason, "Write the route out, or add the labels by hand")
        else:
            reason = "is neither http://HOST nor sni://HOST, the only routes of HRM"
            desk.note("unmapped", key, url, reason, "Write one of these, or add the labels by hand")
        return None
    host = parsed["host"]
    with_port = _WITH_PORT.fullmatch(host)
    if with_port:
        host = with_port["host"]
        desk.note("differs", key, url, f"hosts are compared without a port: {host} is answered on every port")
    cookie = options.get("sticky_sessions", "")
    if cookie and scheme == "sni":
        reason = "needs to read HTTP, and this route passes TLS through"
        desk.note("unmapped", key, f"sticky_sessions={cookie}", reason, "Remove it; HRM had no use for it either")
        cookie = ""
    redirect = options.get("redirect", "")
    return _Route(key=key, value=value, scheme=scheme, host=host, port=port, cookie=cookie, redirect=redirect)


def _serving(desk: Desk, routes: list[_Route]) -> list[_Route]:
    """The routes that agree with the first one; notes for all."""
    joined: list[_Route] = []
    for route in routes:
        first = joined[0] if joined else route
        if route.port != first.port:
            reason = (
                f"leads to port {route.port or '(unknown)'}, and {first.key} to {first.port or '(unknown)'}: "
                "a service has one port"
            )
            desk.note("unmapped", route.key, route.value, reason, _ANOTHER)
            continue
        if route.scheme != first.scheme:
            reason = f"is {route.scheme}:// and {first.key} is {first.scheme}://: a service passes TLS through or not"
            desk.note("unmapped", route.key, route.value, reason, _ANOTHER)
            continue
        joined.append(route)
        if route.cookie not in ("", first.cookie):
            reason = f"a service has one cookie for all of its hosts, and {first.key} has {first.cookie or 'none'}"
            desk.note("unmapped", route.key, f"sticky_sessions={route.cookie}", reason, _ANOTHER)
        elif route.cookie != first.cookie:
            reason = f"the cookie {first.cookie} of {first.key} holds for every host of the service, also for this one"
            desk.note("differs", route.key, route.value, reason)
        became = [
            "hosts" if route.host else "default_backend",
            *(["port"] if route.port else []),
            *(["ssl_passthrough"] if route.scheme == "sni" else []),
            *(["sticky_session_cookie"] if route.cookie and route.cookie == first.cookie else []),
        ]
        desk.note("mapped", route.key, route.value, f"became {', '.join(became)}")
    return joined


def _can_redirect(desk: Desk, route: _Route) -> bool:
    """Notes of a route that redirects; whether it maps."""
    if route.scheme == "sni" or not route.host:
        what = "has no host to redirect" if not route.host else "passes TLS through, where nothing can be redirected"
        remedy = "Redirect a route that is http://HOST"
        desk.note("unmapped", route.key, route.value, f"redirects, and {what}", remedy)
        return False
    reason = "became hosts and redirects; it answers 302 instead of 301, and the path and query asked for are kept"
    desk.note("differs", route.key, route.value, reason)
    return True


def _target(url: str) -> str:
    """Where a redirect leads: an sni:// route is reached over https."""
    found = _URL.fullmatch(url)
    if found is None:
        return url
    scheme = "https" if found["scheme"].lower() == "sni" else found["scheme"].lower()
    return f"{scheme}://{found['host']}"


def _choose_network(desk: Desk, networks: tuple[Network, ...]) -> None:
    """Of several networks, the one that HRM was on."""
    if len(networks) < 2:
        return
    shared = [network.name for network in networks if network.hrm]
    names = ", ".join(network.name for network in networks)
    if len(shared) == 1:
        desk.set("network", shared[0])
        desk.note("mapped", "networks", names, f"{shared[0]} is the one that HRM was on, and became network")
    else:
        remedy = "Set com.docker.lb.network to the one that proxies shall share with the service"
        desk.note("unmapped", "networks", names, "the file does not tell which of these HRM was on", remedy)
