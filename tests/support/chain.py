"""From services with any labels to a live nginx, without the bus between: planner, renderer, proof, probe.

with Chain(tmp_path) as chain:
    chain.serve([service, …])        # asserts all that must hold whatever the labels say
    chain.ask("shop.test", "/path")
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import crossplane

from interlock.labels.label import PREFIX
from interlock.model.routing import DEFAULT_HOST, PassiveChecks, Plan, Route, Upstream, VirtualHost
from interlock.model.swarm import Network, Service, Task
from interlock_extension.port import HostView
from interlock_planner.plan import ClusterPlan, scratch
from support.nginx_lab import Answer, Backend, ask, open_nginx
from support.ports import free_port

NEIGHBOUR = "neighbour.test"
STATUS_PATH = "/nginx_status"
_NETWORK = Network(id="n1", name="web", vip="127.0.0.1")
_IN_HOST = {"listen", "server_name", "if", "location", "return", "set", "proxy_pass", "default_type", "access_log"}
_IN_HOST |= {"add_header", "stub_status", "proxy_http_version"}
_IN_UPSTREAM = {"zone", "server", "hash", "ip_hash", "keepalive", "keepalive_timeout"}


def service(name: str, labels: dict[str, str], **more: Any) -> Service:
    """A service on one network, with a task at 127.0.0.1. Without a label `port` it has the backend's (see `Chain`)."""
    task = Task(id=f"t-{name}", state="running", desired="running", addresses={"n1": "127.0.0.1"})
    values = {"networks": (_NETWORK,), "tasks": (task,), "created": "2024-01-01T00:00:00Z", **more}
    return Service(id=f"id-{name}", name=name, labels={PREFIX + key: value for key, value in labels.items()}, **values)


class Chain:
    """One nginx, reloaded and proven for every case; each service has a backend of its own.

    Counts `cases`, of them `live` ones.
    """

    def __init__(self, folder: Path, **options: object) -> None:
        self.port = free_port()
        self.backend = Backend("shop")
        self.backends = {"shop": self.backend, "neighbour": Backend("neighbour")}
        self._names = {backend.port: name for name, backend in self.backends.items()}
        self.renderer, self.control = open_nginx(folder / "nginx", self.port, **options)
        self.cases = self.live = 0
        self._plan = ClusterPlan()
        self._neighbour = b""
        self._shared = b""

    def __enter__(self) -> Chain:
        self.control.start(self._files(self._apply([])))
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.control.stop(1.0)
        for backend in self.backends.values():
            backend.close()

    def port_of(self, name: str) -> int:
        """The port of this service's own task, which answers by its name."""
        if name not in self.backends:
            self.backends[name] = Backend(name)
            self._names[self.backends[name].port] = name
        return self.backends[name].port

    def serve(self, services: Iterable[Service]) -> Plan:
        """Brings exactly these (and the neighbour) into effect. Raises AssertionError for whatever must never be."""
        plan = self._apply(services)
        files = self._files(plan)
        changed = {name: files.get(name) for name in files.keys() | self.control.installed().keys()}
        changed = {name: data for name, data in changed.items() if data != self.control.installed().get(name)}
        assert files[self.renderer.file_of(NEIGHBOUR)] == self._neighbour, "the neighbour's file is another"
        for host, virtual_host in plan.hosts.items():
            _judge(files[self.renderer.file_of(host)], plan, virtual_host.host)
        if changed:
            self.control.apply_snapshot(changed, "case")
        self._probe(plan)
        return plan

    def ask(self, host: str, path: str = "/") -> Answer:
        return ask(self.port, host, path)

    def _apply(self, services: Iterable[Service]) -> Plan:
        labels = {"hosts": NEIGHBOUR, "port": str(self.port_of("neighbour"))}
        neighbour = service("neighbour", labels, created="2023-01-01T00:00:00Z")
        present = {one.id: one for one in (*services, neighbour)}
        known = set(self._plan._services)
        self._plan.apply({**dict.fromkeys(known - present.keys()), **present})
        plan = self._plan.plan
        assert plan == scratch(present.values()), "the plan depends on its history"
        return plan

    def _files(self, plan: Plan) -> dict[str, bytes]:
        views = [
            HostView(
                host=host,
                upstreams=tuple(u for r in host.routes if (u := plan.upstreams[r.upstream]).endpoints),
            )
            for _, host in sorted(plan.hosts.items())
        ]
        longest = max(len(view.host.host) for view in views)
        files = self.renderer.shared(len(views), longest, default=DEFAULT_HOST in plan.hosts)
        files |= {self.renderer.file_of(view.host.host): self.renderer.host(view) for view in views}
        self._neighbour = self._neighbour or files[self.renderer.file_of(NEIGHBOUR)]
        return files

    def _probe(self, plan: Plan) -> None:
        self.cases += 1
        assert self.ask(NEIGHBOUR).text.startswith("neighbour ")
        reached = False
        for name, host in sorted(plan.hosts.items()):
            if name == NEIGHBOUR:
                continue
            asked = "nobody.test" if name == DEFAULT_HOST else name.replace("*.", "some.")
            for path in {p for route in host.routes for p in _near(route.path)} or {"/"}:
                reached |= self._probe_path(plan, host, asked, path)
        self.live += reached

    def _probe_path(self, plan: Plan, host: VirtualHost, asked: str, path: str) -> bool:
        """Whether a task answered, which is then the right one, asked for the right path."""
        answer = self.ask(asked, path)
        if host.redirect:
            assert (answer.status, answer.headers["location"]) == (302, f"{host.redirect.target}{path}")
            return False
        route = _route(host, path)
        if route is None:
            assert answer.status in ({200} if path == STATUS_PATH else {404}), (asked, path, answer.status)
            return False
        endpoints = plan.upstreams[route.upstream].endpoints
        if not endpoints:
            assert answer.status == 503
            return False
        names = {self._names.get(endpoint.port) for endpoint in endpoints}
        if None in names:
            # Some other port of this machine, or none.
            assert answer.status in {200, 301, 502, 504}, (asked, path, answer.status)
            return False
        if route.rewrite and path == route.path != "/":
            assert (answer.status, answer.headers["location"]) == (301, f"{path}/"), (asked, path)
            return False
        prefix = route.path if route.rewrite and route.path != "/" else ""
        name, method, received, _ = answer.text.split(" ")
        assert name in names, (asked, path, name, names)
        assert (answer.status, method, received) == (200, "GET", path.removeprefix(prefix)), (asked, path, received)
        return True


def _near(path: str) -> tuple[str, ...]:
    """The path itself, one below it, and one that only begins alike."""
    bare = path.rstrip("/")
    return (path, f"{bare}/x/y", f"{bare}z") if bare else ("/", "/x/y")


def _route(host: VirtualHost, path: str) -> Route | None:
    """Which route a path belongs to: the longest prefix of whole segments."""
    if path == STATUS_PATH and all(route.path != STATUS_PATH for route in host.routes):
        return None
    fits = [r for r in host.routes if r.path in {"/", path} or path.startswith(f"{r.path.rstrip('/')}/")]
    return max(fits, key=lambda route: len(route.path), default=None)


def _judge(file: bytes, plan: Plan, host: str) -> None:
    """Read by nginx's makers' own parser: the file holds what the plan says, and nothing else."""
    found = _parsed(file)
    virtual_host = plan.hosts[host]
    served = {r.upstream: r for r in virtual_host.routes if plan.upstreams[r.upstream].endpoints}
    [server] = [block for block in found if block["directive"] == "server"]
    upstreams = {block["args"][0]: block["block"] for block in found if block["directive"] == "upstream"}
    assert upstreams.keys() == served.keys()
    assert {block["directive"] for block in found} <= {"server", "upstream", "map"}
    names = [d["args"] for d in server["block"] if d["directive"] == "server_name"]
    assert names == [["_" if host == DEFAULT_HOST else host]]
    for name, block in upstreams.items():
        _judge_upstream(block, served[name], plan.upstreams[name])
    assert {d["directive"] for d in _walk(server["block"])} <= _IN_HOST
    if not virtual_host.redirect:
        _judge_locations(server["block"], virtual_host, served)


def _judge_upstream(block: list[dict[str, Any]], route: Route, upstream: Upstream) -> None:
    assert {d["directive"] for d in block} <= _IN_UPSTREAM
    balance = [d["directive"] for d in block if d["directive"] in {"hash", "ip_hash"}]
    assert balance == (["hash"] if route.sticky_cookie else ["ip_hash"] if route.ip_hash else [])
    planned: dict[str, set[str]] = {}
    for endpoint in upstream.endpoints:
        checks = route.passive.get(endpoint.service_id, PassiveChecks())
        said = {f"max_fails={checks.max_fails}"} if checks.max_fails is not None else set()
        said |= {f"fail_timeout={checks.fail_timeout}s"} if checks.fail_timeout is not None else set()
        planned.setdefault(f"{endpoint.address}:{endpoint.port}", said)
    written = {d["args"][0]: set(d["args"][1:]) for d in block if d["directive"] == "server"}
    assert written == planned


def _judge_locations(block: list[dict[str, Any]], host: VirtualHost, served: Mapping[str, Route]) -> None:
    """Each location leads where its route does, and upgrades connections where that is wanted."""
    planned: dict[str, tuple[str, bool]] = {}
    paths = {route.path for route in host.routes}
    for route in host.routes:
        for path in {route.path, *(path for path in route.websockets if path not in paths)}:
            bare = path.rstrip("/")
            rewrite = route.rewrite and bool(bare) and route.upstream in served
            target = f"http://{route.upstream}{'/' if rewrite else ''}" if route.upstream in served else ""
            upgraded = bool(target) and path in route.websockets
            planned[f"^~ {bare}/"] = (target, upgraded)
            if bare and not rewrite:
                planned[f"= {bare}"] = (target, upgraded)
    written: dict[str, tuple[str, bool]] = {}
    for location in (d for d in block if d["directive"] == "location"):
        [target] = [d["args"][0] for d in location["block"] if d["directive"] == "proxy_pass"] or [""]
        upgraded = ["$il_upgrade", "$http_upgrade"] in [d["args"] for d in location["block"]]
        written[" ".join(location["args"])] = (target, upgraded)
    own = {"@il_newer", "/"} | ({f"= {STATUS_PATH}"} - planned.keys())
    assert {key: value for key, value in written.items() if key not in own} == planned


def _walk(block: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for directive in block:
        yield directive
        yield from _walk(directive.get("block") or [])


def _parsed(file: bytes) -> list[dict[str, Any]]:

    with tempfile.NamedTemporaryFile(suffix=".conf") as written:
        written.write(file)
        written.flush()
        payload = crossplane.parse(written.name, single=True, strict=False, check_ctx=False, check_args=False)
    assert payload["status"] == "ok", payload["errors"]
    return list(payload["config"][0]["parsed"])
