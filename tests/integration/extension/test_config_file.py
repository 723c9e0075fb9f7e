"""A worker started with a config.toml: what of it takes effect, and what a bad one does to a proxy that runs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.extension_lab import WorkerLab
from support.nginx_lab import Backend, Idle, ask, endpoint, status_of, until

Make = Callable[..., Backend]
A = "a.example"


@pytest.fixture
def file(lab: WorkerLab) -> Path:
    return lab.folder / "config.toml"


def test_the_options_of_its_service_cluster_reach_nginx(lab: WorkerLab, file: Path, backend: Make) -> None:
    file.write_text(
        '[Extensions.other]\nServiceCluster = "other"\n[Extensions.other.Config]\nClientMaxBodySize = "1"\n'
        '[Extensions.web]\n[Extensions.web.config]\nHTTPOPTIONS = ["add_header x-mine yes;"]\nAdminUser = "a"\n'
    )
    lab.spawn("--config", str(file))
    lab.until_runs(lab.serve({A: (endpoint(backend("one").port, "t1"),)}))
    until(lambda: status_of(lab.port, A) == 200, "the endpoint is admitted")
    assert ask(lab.port, A, method="POST", body=b"long").headers["x-mine"] == "yes"
    assert lab.terminate() == 0


@pytest.mark.parametrize("given", [False, True])
def test_target_port_is_the_port_where_none_is_given(lab: WorkerLab, file: Path, given: bool) -> None:
    file.write_text(f"[Extensions.web]\ntargetport = {1 if given else lab.port}\n")
    lab.spawn("--config", str(file), *(("--http-port", str(lab.port)) if given else ()), listen=False)
    assert lab.terminate() == 0


@pytest.mark.parametrize(("more", "finishes"), [((), True), (("--stop-timeout", "100ms"), False)])
def test_stop_grace_period(lab: WorkerLab, file: Path, backend: Make, more: tuple[str, ...], finishes: bool) -> None:
    """Requests in flight have so long, and the command line comes first."""
    one = backend("one")
    file.write_text('[Extensions.web]\nProxyStopGracePeriod = "6s"\n')
    lab.spawn("--config", str(file), *more)
    lab.until_runs(lab.serve({A: (endpoint(one.port, "t1"),)}))
    until(lambda: status_of(lab.port, A) == 200, "the endpoint is admitted")
    # Longer than what is the default without that key, shorter than the key's.
    one.server.before_answer = lambda: time.sleep(4)
    link = Idle(lab.port)
    link._link.settimeout(8)
    link._link.sendall(f"GET / HTTP/1.1\r\nHost: {A}\r\n\r\n".encode())
    time.sleep(0.2)
    assert lab.terminate() == 0
    assert (b"200 OK" in link._link.recv(65536)) is finishes
    link.close()


BAD = [
    ('HTTPOptions = ["gzip on;", "gzipp on;"]', "HTTPOptions, item 2 = 'gzipp on;': nginx refuses: unknown directive"),
    ('ReadTimeout = "60"', "ReadTimeout = '60': a number belongs here; write ReadTimeout = 60, without quotes"),
    (
        'HTTPVersion = "3"',
        'HTTPVersion = \'3\': it is none of those that are known; write HTTPVersion = "1.1" or "1.0"',
    ),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_a_bad_file_ends_the_worker_and_not_the_proxy(
    lab: WorkerLab, file: Path, backend: Make, line: str, said: str
) -> None:
    lab.spawn()
    lab.until_runs(lab.serve({A: (endpoint(backend("one").port, "t1"),)}))
    until(lambda: status_of(lab.port, A) == 200, "the endpoint is admitted")
    master = lab.master
    lab.kill()
    file.write_text(f"[Extensions.web]\n[Extensions.web.Config]\n{line}\n")
    ended = subprocess.run(lab.command("--config", str(file)), capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert f"Error: {file}:3: Extensions.web.Config.{said}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert lab.master == master
    assert status_of(lab.port, A) == 200
    # Corrected, it takes effect on the proxy that was there all the time.
    file.write_text('[Extensions.web.Config]\nHTTPOptions = ["add_header x-mine yes;"]\n')
    lab.spawn("--config", str(file))
    lab.until_runs(lab.serve({A: (endpoint(backend("two").port, "t2"),)}))
    until(lambda: ask(lab.port, A).text.startswith("two"), "the endpoint is admitted")
    assert lab.master == master
    assert ask(lab.port, A).headers["x-mine"] == "yes"
    # And without it, its file goes again.
    lab.kill()
    lab.spawn()
    lab.until_runs(lab.serve({A: (endpoint(backend("three").port, "t3"),)}))
    until(lambda: ask(lab.port, A).text.startswith("three"), "the endpoint is admitted")
    assert "x-mine" not in ask(lab.port, A).headers
    assert not (lab.state / "nginx" / "http_options.conf").exists()


def test_a_worker_whose_cluster_has_no_table_says_so(lab: WorkerLab, file: Path) -> None:
    file.write_text('[Extensions.web]\nServiceCluster = "us-east"\n')
    lab.spawn("--config", str(file), "--cluster", "US-EAST")
    until(lambda: "[Extensions.web] is for us-east" in lab.log, "the log names the table")
    assert lab.terminate() == 0
