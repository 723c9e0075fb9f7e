"""B2: requests per second and p99 through our nginx, against a configuration written by hand, interleaved.

Same nginx, same backend, same log, same headers, in turn A B B A …; the ratio is taken pair by pair. Prints a row for
`docs/benchmarks.md`. Needs wrk.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.model.names import upstream_name
from interlock.model.routing import Endpoint, Route, Upstream, VirtualHost
from interlock.runtime.parts import find_nginx
from interlock.runtime.process import Process
from interlock_extension.nginx import NginxExtension
from interlock_extension.port import HostView, Settings

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


@pytest.mark.parametrize("hosts", [1, 100])
def test_b2(room: Path, hosts: int) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk; Debian: apt-get install wrk")
    backend_port, hand_port, our_port = free_port(), free_port(), free_port()
    names = [f"h{n}.example" for n in range(hosts)]
    backend = nginx(room, "backend", BACKEND.format(port=backend_port, body="x" * 500))
    hand_text = (Path(__file__).parent / "handwritten.conf.in").read_text().replace("@PORT@", str(hand_port))
    (room / "hand").mkdir()
    (room / "hand" / "hosts.conf").write_text(
        "".join(
            f"upstream u{n} {{ zone u{n} 64k; server 127.0.0.1:{backend_port}; keepalive 32; }}\n"
            f"server {{ listen {hand_port}; server_name {name}; location / {{ proxy_pass http://u{n}; }} }}\n"
            for n, name in enumerate(names)
        )
    )
    hand = nginx(room, "hand", hand_text)
    renderer, control = NginxExtension().open(
        Settings(
            folder=room / "ours", listen=(f"127.0.0.1:{our_port}",), proxy_id="bench", server_info="interlock/bench",
            options={"AccessLogPath": str(room / "access.log"), "ErrorLogPath": str(room / "error.log")},
        )
    )  # fmt: skip
    files = renderer.shared(len(names), max(map(len, names)), default=False)
    for name in names:
        upstream = upstream_name(name)
        endpoint = Endpoint(address="127.0.0.1", port=backend_port, task="t", service_id="s", service="bench")
        view = HostView(
            host=VirtualHost(host=name, routes=(Route(upstream=upstream),)),
            upstreams=(Upstream(name=upstream, endpoints=(endpoint,)),),
        )
        files[renderer.file_of(name)] = renderer.host(view)
    control.start(files)
    try:
        for port in (backend_port, hand_port, our_port):
            answering(port)
        target = names[-1]
        runs: dict[str, Callable[[], tuple[float, float]]] = {
            "ours": lambda: wrk(our_port, target),
            "hand": lambda: wrk(hand_port, target),
        }
        for run in runs.values():
            run()
        seen: dict[str, list[tuple[float, float]]] = {"ours": [], "hand": []}
        for pair in range(PAIRS):
            for which in ("ours", "hand") if pair % 2 else ("hand", "ours"):
                seen[which].append(runs[which]())
        floor = [wrk(backend_port, target)[0] for _ in range(3)]
    finally:
        control.stop(2.0)
        hand.stop()
        backend.stop()
    ratios = [ours[0] / hand[0] for ours, hand in zip(seen["ours"], seen["hand"], strict=True)]
    tails = [ours[1] / hand[1] for ours, hand in zip(seen["ours"], seen["hand"], strict=True)]
    print(
        f"\nB2 {hosts} hosts, {CONNECTIONS} connections, {PAIRS} pairs of {SECONDS} s\n"
        f"| requests/s | ours {spread([r for r, _ in seen['ours']])} "
        f"| by hand {spread([r for r, _ in seen['hand']])} "
        f"| ratio {spread(ratios, 3)} |\n"
        f"| p99 ms | ours {spread([p for _, p in seen['ours']], 2)} "
        f"| by hand {spread([p for _, p in seen['hand']], 2)} "
        f"| ratio {spread(tails, 3)} |\n"
        f"| floor: the backend alone | {spread(floor)} requests/s |"
    )
    assert statistics.median(ratios) > 0
