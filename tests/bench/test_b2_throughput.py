"""B2: requests per second and p99 through our proxy, against a configuration written by hand, interleaved.

Same proxy, same backend, same log, same headers, in turn A B B A …; the ratio is taken pair by pair. Beside HAProxy's
pairs stands Traefik, from a file with the same hosts, for comparison only. Prints rows for `docs/benchmarks.md`. Needs
wrk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from interlock.model.names import upstream_name
from interlock.model.routing import Endpoint, Route, Upstream, VirtualHost
from interlock.runtime.parts import find_haproxy, find_nginx
from interlock.runtime.process import Process
from interlock_extension.haproxy.complaints import FILES
from interlock_extension.nginx import NginxExtension
from interlock_extension.port import HostView, Settings
from support import haproxy_lab

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
PAIRS = int(os.environ.get("B2_PAIRS", "9"))
SECONDS = int(os.environ.get("B2_SECONDS", "4"))
CONNECTIONS = 32
BACKEND = """
worker_processes 1; pid b.pid; daemon off; error_log b.log warn;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000; client_body_temp_path tmp; proxy_temp_path tmp;
fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain; return 200 "{body}"; }} }} }}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answering(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def room() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="il-b2-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def nginx(room: Path, name: str, text: str) -> Process:
    folder = room / name
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    return Process.start([str(find_nginx().path), "-p", str(folder), "-c", str(folder / "nginx.conf")], cwd=folder)


def wrk(port: int, host: str, connections: int = CONNECTIONS) -> tuple[float, float]:
    """Requests per second, and p99 in milliseconds."""
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-H", f"Host: {host}",
         f"http://127.0.0.1:{port}/"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} [{min(values):,.{digits}f}-{max(values):,.{digits}f}]"


def hand_file(name: str, port: int) -> str:
    return (Path(__file__).parent / name).read_text().replace("@PORT@", str(port))


def view(name: str, port: int) -> HostView:
    upstream = upstream_name(name)
    endpoint = Endpoint(address="127.0.0.1", port=port, task="t", service_id="s", service="bench")
    return HostView(
        host=VirtualHost(host=name, routes=(Route(upstream=upstream),)),
        upstreams=(Upstream(name=upstream, endpoints=(endpoint,)),),
    )


def nginx_contestants(room: Path, names: list[str], backend: int, done: ExitStack) -> dict[str, int]:
    """Ports of ours and of the configuration by hand."""
    ours, hand = free_port(), free_port()
    (room / "hand").mkdir()
    (room / "hand" / "hosts.conf").write_text(
        "".join(
            f"upstream u{n} {{ zone u{n} 64k; server 127.0.0.1:{backend}; keepalive 32; }}\n"
            f"server {{ listen {hand}; server_name {name}; location / {{ proxy_pass http://u{n}; }} }}\n"
            for n, name in enumerate(names)
        )
    )
    done.callback(nginx(room, "hand", hand_file("handwritten.conf.in", hand)).stop)
    renderer, control = NginxExtension().open(
        Settings(
            folder=room / "ours", listen=(f"127.0.0.1:{ours}",), proxy_id="bench", server_info="interlock/bench",
            options={"AccessLogPath": str(room / "access.log"), "ErrorLogPath": str(room / "error.log")},
        )
    )  # fmt: skip
    files = renderer.shared(len(names), max(map(len, names)), default=False)
    files.update({renderer.file_of(name): renderer.host(view(name, backend)) for name in names})
    control.start(files)
    done.callback(control.stop, 2.0)
    return {"ours": ours, "by hand": hand}


def logged(command: list[str], folder: Path, done: ExitStack) -> None:
    """A program whose output, its access log, goes into a file."""
    with (folder / "access.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"})

    def end() -> None:
        process.terminate()
        process.wait()

    done.callback(end)


def haproxy_contestants(room: Path, names: list[str], backend: int, done: ExitStack) -> dict[str, int]:
    """Ports of ours, of the configuration by hand, and of Traefik, where that is installed."""
    found = {"ours": free_port(), "by hand": free_port()}
    program = str(find_haproxy().path)
    hand, ours = room / "hand", room / "ours"
    hand.mkdir()
    (hand / "hosts.map").write_text("".join(f"{name} b{n}\n" for n, name in enumerate(names)))
    (hand / "haproxy.cfg").write_text(
        hand_file("handwritten.cfg.in", found["by hand"])
        + "".join(f"backend b{n}\n    server s 127.0.0.1:{backend}\n" for n in range(len(names)))
    )
    logged([program, "-db", "-f", "haproxy.cfg"], hand, done)
    # The access log is our standard output, so the files are run as they are rendered, without the extension's shell.
    renderer = haproxy_lab.renderer(found["ours"], "bench", AccessLogPath="/dev/stdout", WorkerProcesses=1)
    ours.mkdir()
    haproxy_lab.write(ours, haproxy_lab.files_for(renderer, *(view(name, backend) for name in names)))
    logged([program, "-db", *FILES], ours, done)
    traefik = shutil.which("traefik", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if traefik:
        found["Traefik"] = free_port()
        traefik_contestant(traefik, room / "traefik", names, found["Traefik"], backend, done)
    return found


def traefik_contestant(program: str, folder: Path, names: list[str], port: int, backend: int, done: ExitStack) -> None:
    """Its own headers to backends, the same headers to clients where it can say them, its access log in a file."""
    folder.mkdir()
    routers = {
        f"r{n}": {"rule": f"Host(`{name}`)", "service": f"s{n}", "middlewares": ["told"]}
        for n, name in enumerate(names)
    }
    services = {
        f"s{n}": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{backend}"}]}} for n in range(len(names))
    }
    told = {"headers": {"customResponseHeaders": {"x-proxy-id": "bench", "x-server-info": "interlock/bench"}}}
    dynamic = {"http": {"routers": routers, "services": services, "middlewares": {"told": told}}}
    # YAML, of which JSON is a part.
    (folder / "dynamic.yml").write_text(json.dumps(dynamic))
    static = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"filePath": "traefik.log"},
        "accessLog": {"filePath": "requests.log"},
        "entryPoints": {"web": {"address": f"127.0.0.1:{port}"}},
        "providers": {"file": {"filename": "dynamic.yml"}},
    }
    (folder / "traefik.yml").write_text(json.dumps(static))
    logged([program, "--configFile=traefik.yml"], folder, done)


CONTESTANTS = {"nginx": nginx_contestants, "haproxy": haproxy_contestants}


@pytest.mark.parametrize("hosts", [1, 100])
@pytest.mark.parametrize("kind", CONTESTANTS)
def test_b2(room: Path, kind: str, hosts: int) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk; Debian: apt-get install wrk")
    names = [f"h{n}.example" for n in range(hosts)]
    backend = free_port()
    seen: dict[str, list[tuple[float, float]]] = {}
    with ExitStack() as done:
        done.callback(nginx(room, "backend", BACKEND.format(port=backend, body="x" * 500)).stop)
        ports = CONTESTANTS[kind](room, names, backend, done)
        for port in (backend, *ports.values()):
            answering(port)
        for which, port in ports.items():
            wrk(port, names[-1])
            seen[which] = []
        for pair in range(PAIRS):
            # A B C, C B A: ours and the one by hand are neighbours, and each comes first in turn.
            for which in list(ports)[:: -1 if pair % 2 else 1]:
                seen[which].append(wrk(ports[which], names[-1]))
        floor = [wrk(backend, names[-1])[0] for _ in range(3)]
    print(f"\nB2 {kind}, {hosts} hosts, {CONNECTIONS} connections, {PAIRS} pairs of {SECONDS} s")
    for number, (what, digits) in enumerate({"requests/s": 0, "p99 ms": 2}.items()):
        values = {which: [run[number] for run in runs] for which, runs in seen.items()}
        ratios = {
            which: [mine / theirs for mine, theirs in zip(values["ours"], values[which], strict=True)]
            for which in values
            if which != "ours"
        }
        shown = [f"{which} {spread(found, digits)}" for which, found in values.items()]
        shown += [f"ours / {which} {spread(found, 3)}" for which, found in ratios.items()]
        print(f"| {what} | {' | '.join(shown)} |")
    print(f"| floor: the backend alone | {spread(floor)} requests/s |")
    assert all(rate > 0 for runs in seen.values() for rate, _ in runs)
