"""What B3 measures: from the planner's write to a request that meets it, and the bare proxy's own time for the same.

The product is a worker in a process of its own on an embedded bus, with its real proxy. The clock starts right before
the plan's delta is written as a planner writes it, and ends with the first answer of an unbroken run of right answers,
each on a fresh connection. The floors are asked by the same rule: for HAProxy the runtime commands that one would type,
to a configuration by hand; for nginx a SIGHUP on the very files that the extension renders.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from interlock.model.names import upstream_name
from interlock.model.routing import Endpoint, Plan, PlanDelta, Upstream
from interlock.runtime.parts import find_haproxy, find_nginx
from interlock.runtime.process import Process
from interlock.wire import fields
from interlock.wire.trail import Cause, Trail
from interlock_extension.port import HostView
from support.extension_lab import TOKEN, WorkerLab, plan_of
from support.nginx_lab import files_for, open_nginx, until, virtual_host
from support.ports import free_port, free_ports

UNBROKEN = 0.25
"""Seconds: longer than nginx's old workers go on answering."""

_LOADED = 180.0
_SETTLED = 3.0


class Round(NamedTuple):
    """One change in milliseconds: until requests met it, and its parts by the outcome's trail."""

    total: float
    parts: dict[str, float]


class Backends:
    """One nginx that answers on two ports of every address in 127.0.0.0/8, with the address that was asked."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.before, self.after = free_ports(2)
        temp = "".join(f"{kind}_temp_path tmp; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            "worker_processes 1; pid b.pid; daemon off; error_log b.log warn; events {} http { access_log off; "
            f"{temp} server {{ listen {self.before}; listen {self.after}; "
            'return 200 "$server_addr:$server_port"; } }'
        )
        command = [str(find_nginx().path), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self.process = Process.start(command, cwd=folder)

    def endpoint(self, n: int, port: int) -> Endpoint:
        """A task of its own for each host and port, at an address of its own."""
        address = f"127.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"
        return Endpoint(address=address, port=port, task=f"t{n}-{port}", service_id=f"id{n}", service=f"s{n}",
                        network="net")  # fmt: skip


def host_of(n: int) -> str:
    return f"h{n}.example"


def answer(port: int, host: str) -> str:
    """The body of an answer on a fresh connection; empty for anything but 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            said = b""
            while piece := link.recv(4096):
                said += piece
    except OSError:
        return ""
    head, _, body = said.partition(b"\r\n\r\n")
    return body.decode() if head.startswith(b"HTTP/1.1 200 ") else ""


def effective(port: int, host: str, wanted: str, within: float = 60.0) -> float:
    """Unix seconds of the first right answer after which none was wrong for `UNBROKEN` seconds."""
    deadline = time.monotonic() + within
    since: float | None = None
    while time.monotonic() < deadline:
        right, at = answer(port, host) == wanted, time.time()
        since = (since or at) if right else None
        if since and at - since > UNBROKEN:
            return since
        # As long as it waits, the proxy and the worker have the processors.
        time.sleep(0.001 if since is None else 0.005)
    raise AssertionError(f"{host} was not answered by {wanted} within {within} s")


def timed(change: Callable[[], object], port: int, host: str, to: Endpoint) -> float:
    """Milliseconds from right before the change until requests meet it."""
    began = time.time()
    change()
    return 1000 * (effective(port, host, f"{to.address}:{to.port}") - began)


class Publication(WorkerLab):
    """A worker of the product with its proxy, and a planner's pen."""

    def __init__(self, folder: Path, kind: str) -> None:
        super().__init__(folder)
        self.kind = kind

    def command(self, *more: str, listen: bool = True) -> list[str]:
        """A worker's command line for either kind of proxy."""
        nginx = ["--option", f"ErrorLogPath={self.folder / 'error.log'}"] if self.kind == "nginx" else []
        return [
            sys.executable, "-m", "interlock_extension.cli", "--bus", self.server.url, "--region", "test",
            "--state-dir", str(self.state), "--proxy-id", "p1", "--dns", "off", "--access-log", "off",
            "--extension", self.kind, "--option", "WorkerProcesses=2", *nginx,
            "--listen", f"127.0.0.1:{self.port}", *more,
        ]  # fmt: skip

    def begin(self, hosts: Mapping[str, tuple[Endpoint, ...]]) -> None:
        """Serve these."""
        self.spawn()
        self.until_runs(self.serve(hosts), _LOADED)
        self.settled(len(hosts))

    def settled(self, hosts: int) -> None:
        """Wait until every endpoint is admitted and in use, and nothing is left to be done."""
        kept = self.state / "lastgood" / "state"

        def done() -> bool:
            said = self.outcome()
            if said is None or said.waiting or not said.upstreams == said.endpoints == hosts:
                return False
            # A whole plan is synced to the disk after it was said to be in effect, which takes its time.
            return kept.exists() and kept.stat().st_mtime >= (said.effective_at or 0.0)

        until(done, f"{hosts} hosts are served", _LOADED)
        time.sleep(_SETTLED)

    def measure(self, host: str, endpoint: Endpoint, *, new: bool) -> Round:
        """One delta as a planner writes it: the host's endpoint, with the host itself where that is new."""
        name = upstream_name(host)
        delta = PlanDelta(
            hosts={host: virtual_host(host)} if new else {},
            upstreams={name: Upstream(name=name, endpoints=(endpoint,))},
        )
        now = time.time()
        cause = Cause(id=f"{host}-{endpoint.port}-{now}", kind="event", at=now)
        began = 0.0

        def publish() -> None:
            nonlocal began
            began = time.time()
            trail = Trail(causes=(cause,)).hop("planned", began)
            version = self.writer.write(fields.delta_fields(delta), token=TOKEN, trail=trail)
            assert version is not None

        total = timed(publish, self.port, host, endpoint)
        outcomes: list[dict[str, float]] = []

        def said() -> bool:
            found = self.outcome()
            if found is not None and found.cause == cause.id and found.result in ("updated", "reloaded"):
                outcomes[:] = [dict(found.hops)]
                assert found.result == ("updated" if self.kind == "haproxy" else "reloaded"), found
            return bool(outcomes)

        until(said, f"the outcome of {host}")
        [hops] = outcomes
        parts = {
            "· bus and admission": 1000 * (hops["applying"] - began),
            f"· {self.kind}": 1000 * (hops["effective"] - hops["applying"]),
            "the trail's own: publication to effective": 1000 * (hops["effective"] - began),
        }
        return Round(total, parts)


@contextmanager
def publication(folder: Path, kind: str) -> Iterator[Publication]:
    folder.mkdir()
    lab = Publication(folder, kind)
    try:
        yield lab
    finally:
        if lab.process:
            lab.terminate()
        lab.close()


class HaproxyByHand:
    """A HAProxy with a map from hosts to backends, and spare backends, as one writes it by hand; changed in place."""

    def __init__(self, folder: Path, hosts: Mapping[str, Endpoint], spares: int) -> None:
        folder.mkdir()
        self._folder, self.port = folder, free_port()
        self._backends = {host: f"b{n}" for n, host in enumerate(hosts)}
        self._spares = [f"spare{n}" for n in range(spares)]
        self._servers: dict[str, int] = dict.fromkeys(self._backends.values(), 0)
        (folder / "hosts.map").write_text("".join(f"{host} {name}\n" for host, name in self._backends.items()))
        text = [
            "global", " stats socket unix@run.sock mode 600 level admin", " nbthread 2", " maxconn 1024",
            "defaults", " mode http", " timeout connect 1s", " timeout client 60s", " timeout server 60s",
            "frontend http", f" bind 127.0.0.1:{self.port}",
            " use_backend %[req.hdr(host),lower,map(hosts.map,none)]",
            "backend none", " http-request return status 503",
        ]  # fmt: skip
        for host, to in hosts.items():
            text.append(f"backend {self._backends[host]}\n balance roundrobin\n server s0 {to.address}:{to.port}")
        text += [f"backend {name}\n balance roundrobin" for name in self._spares]
        (folder / "haproxy.cfg").write_text("\n".join(text) + "\n")
        self.process = Process.start([str(find_haproxy().path), "-db", "-f", "haproxy.cfg"], cwd=folder)

    def begin(self, host: str, to: Endpoint) -> None:
        """Wait until it serves this one."""
        effective(self.port, host, f"{to.address}:{to.port}")

    def change(self, host: str, to: Endpoint) -> None:
        """Another server in place of the host's present one."""
        name = self._backends[host]
        old, new = self._servers[name], self._servers[name] + 1
        self._servers[name] = new
        self._say(
            f"add server {name}/s{new} {to.address}:{to.port}; set server {name}/s{new} state ready; "
            f"set server {name}/s{old} state maint"
        )

    def add(self, host: str, to: Endpoint) -> None:
        """A spare backend becomes the host's."""
        name = self._backends[host] = self._spares.pop()
        self._servers[name] = 0
        self._say(
            f"add server {name}/s0 {to.address}:{to.port}; set server {name}/s0 state ready; "
            f"add map hosts.map {host} {name}"
        )

    def close(self) -> None:
        self.process.stop()

    def _say(self, line: str) -> None:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self._folder / "run.sock"))
            link.sendall(f"{line}\n".encode())
            said = b""
            while piece := link.recv(4096):
                said += piece
        assert b"New server registered" in said, said


class NginxByHand:
    """An nginx on what the extension renders, of which one writes a file and sends SIGHUP."""

    def __init__(self, folder: Path, hosts: Mapping[str, tuple[Endpoint, ...]]) -> None:
        folder.mkdir()
        self.port = free_port()
        self._folder = folder / "nginx"
        self._renderer, self._control = open_nginx(self._folder, self.port, WorkerProcesses=2)
        plan = plan_of(hosts)
        views = [_view(plan, host) for host in hosts]
        self._control.start(files_for(self._renderer, *views))

    def begin(self, host: str, to: Endpoint) -> None:
        """Wait until it serves this one."""
        effective(self.port, host, f"{to.address}:{to.port}")

    def change(self, host: str, to: Endpoint) -> None:
        """The host's file, and a reload."""
        view = _view(plan_of({host: (to,)}), host)
        (self._folder / self._renderer.file_of(host)).write_bytes(self._renderer.host(view))
        master = self._control.pid
        assert master
        os.kill(master, signal.SIGHUP)

    add = change

    def close(self) -> None:
        self._control.stop(2.0)


def _view(plan: Plan, host: str) -> HostView:
    return HostView(host=plan.hosts[host], upstreams=(plan.upstreams[upstream_name(host)],))


def row(what: str, values: Sequence[float]) -> str:
    digits = 1 if statistics.median(values) < 100 else 0
    shown = " | ".join(f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"| {what} | {shown} | {len(values)} |"
