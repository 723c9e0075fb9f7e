"""From services with any labels to a live nginx, without the bus between: planner, renderer, proof, probe.

with Chain(tmp_path) as chain:
    chain.serve([service, …])        # asserts all that must hold whatever the labels say
    chain.ask("shop.test", "/path")
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import crossplane

from interlock.labels.label import PREFIX
from interlock.model.routing import DEFAULT_HOST, Plan
from interlock.model.swarm import Network, Service, Task
from interlock_extension.port import HostView
from interlock_planner.plan import ClusterPlan, scratch
from support.nginx_lab import Answer, Backend, ask, open_nginx
from support.ports import free_port

NEIGHBOUR = "neighbour.test"
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
    """One backend and one nginx, reloaded and proven for every case. Counts `cases`, of them `live` ones."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.port = free_port()
        self.backend = Backend("task")
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
        self.backend.close()

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
            self.control.apply(changed, "case")
        self._probe(plan)
        return plan

    def ask(self, host: str, path: str = "/") -> Answer:
        return ask(self.port, host, path)

    def _apply(self, services: Iterable[Service]) -> Plan:
        neighbour = service(
            "neighbour", {"hosts": NEIGHBOUR, "port": str(self.backend.port)}, created="2023-01-01T00:00:00Z"
        )
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
        assert self.ask(NEIGHBOUR).status == 200
        reached = False
        for name, host in sorted(plan.hosts.items()):
            if name == NEIGHBOUR:
                continue
            asked = "nobody.test" if name == DEFAULT_HOST else name.replace("*.", "some.")
            for path in [route.path for route in host.routes] or ["/"]:
                answer = self.ask(asked, path)
                route = next((r for r in host.routes if r.path == path), None)
                if host.redirect:
                    assert (answer.status, answer.headers["location"]) == (302, f"{host.redirect.target}{path}")
                elif route and plan.upstreams[route.upstream].endpoints:
                    ours = all(e.port == self.backend.port for e in plan.upstreams[route.upstream].endpoints)
                    expected = {200, 301} if ours else {200, 301, 502, 504}
                    assert answer.status in expected, (asked, path, answer.status)
                    reached = reached or ours
                else:
                    assert answer.status == 503
        self.live += reached


def _judge(file: bytes, plan: Plan, host: str) -> None:
    """Read by nginx's makers' own parser: the file holds what the plan says, and nothing else."""
    found = _parsed(file)
    virtual_host = plan.hosts[host]
    served = [r for r in virtual_host.routes if plan.upstreams[r.upstream].endpoints]
    [server] = [block for block in found if block["directive"] == "server"]
    upstreams = [block for block in found if block["directive"] == "upstream"]
    assert sorted(block["args"][0] for block in upstreams) == sorted({r.upstream for r in served})
    assert {block["directive"] for block in found} <= {"server", "upstream", "map"}
    names = [d["args"] for d in server["block"] if d["directive"] == "server_name"]
    assert names == [["_" if host == DEFAULT_HOST else host]]
    for upstream in upstreams:
        assert {d["directive"] for d in upstream["block"]} <= _IN_UPSTREAM
        planned = {(e.address, e.port) for e in plan.upstreams[upstream["args"][0]].endpoints}
        written = {d["args"][0] for d in upstream["block"] if d["directive"] == "server"}
        assert written == {f"{address}:{port}" for address, port in planned}
    directives = list(_walk(server["block"]))
    assert {d["directive"] for d in directives} <= _IN_HOST
    locations = {d["args"][-1] for d in directives if d["directive"] == "location"}
    paths = {path for route in virtual_host.routes for path in (route.path, *route.websockets)}
    expected = (
        {p.rstrip("/") for p in paths} | {p.rstrip("/") + "/" for p in paths} | {"/", "/nginx_status", "@il_newer"}
    )
    assert locations <= expected | {""}


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
