"""A worker that takes its kind of proxy and HAProxy's options from config.toml: contract 3.5, on the real HAProxy."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock_extension.haproxy import family
from interlock_extension.haproxy.render import MAIN
from support.extension_lab import WorkerLab
from support.nginx_lab import Backend, ask, endpoint, status_of, until

Make = Callable[..., Backend]
A = "a.example"

OPTIONS = """
[Extensions.web]
Extension = "haproxy"
targetport = {port}
[Extensions.web.config]
maxconnections = 77
ConnectTimeout = "7s"
ClientTimeout = 8
ServerTimeout = 1
KeepaliveTimeout = "1s"
ClientMaxBodySize = "4"
IPHash = true
HideInfoHeaders = true
WorkerProcesses = 3
AccessLogPath = "off"
GlobalOptions = ["tune.maxrewrite 2048"]
DefaultOptions = ["errorfile 502 502.http"]
PidPath = "{pid}"
AdminUser = "a"
HTTPOptions = ["gzip on;"]
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WorkerLab]:
    made = WorkerLab(tmp_path)
    made.told = ()
    yield made
    if made.process:
        made.terminate()
    made.close()


@pytest.fixture
def file(lab: WorkerLab) -> Path:
    return lab.folder / "config.toml"


def test_every_option_of_its_table_reaches_haproxy(lab: WorkerLab, file: Path, backend: Make) -> None:
    pid = lab.folder / "proxy.pid"
    page = lab.folder / "502.http"
    page.write_text("HTTP/1.0 502 Mine\r\nContent-Length: 0\r\n\r\n")
    file.write_text(OPTIONS.format(port=lab.port, pid=pid).replace("502.http", str(page)))
    one, two = backend("one"), backend("two")
    lab.spawn("--config", str(file), "--access-log", "/dev/stderr", listen=False)
    ends = (endpoint(one.port, "t1"), endpoint(two.port, "t2"))
    lab.until_runs(lab.serve({A: ends}))
    until(lambda: status_of(lab.port, A) == 200, "the endpoint is admitted")
    folder = (lab.state / "haproxy").resolve()
    master = family.master_of(folder)
    assert master is not None
    assert int(pid.read_text().split()[0]) == master.pid

    written = (folder / MAIN).read_text()
    for line in ("maxconn 77", "nbthread 3", "timeout connect 7s", "timeout client 8s", "tune.maxrewrite 2048"):
        assert f"    {line}\n" in written
    answers = [ask(lab.port, A) for _ in range(6)]
    assert len({answer.text.split()[0] for answer in answers}) == 1
    assert not any(name.startswith("x-") for name in answers[0].headers)
    assert ask(lab.port, A, "/", "POST", b"12345").status == 413
    assert ask(lab.port, A, "/logged").status == 200
    until(lambda: '"GET /logged HTTP/1.1" 200' in lab.log, "the request is logged")
    # A reload, ours or by hand, ends neither, and says nothing of each backend.
    assert master.send_signal(signal.SIGUSR2)
    until(lambda: "Proxy http stopped" in lab.log, "the old worker says that it ends")
    until(lambda: status_of(lab.port, A) == 200 and ask(lab.port, A, "/again").status == 200, "the new one serves")
    until(lambda: '"GET /again HTTP/1.1" 200' in lab.log, "the request is logged")
    assert "Proxy spare" not in lab.log
    with socket.create_connection(("127.0.0.1", lab.port), timeout=10) as idle:
        idle.sendall(f"GET / HTTP/1.1\r\nHost: {A}\r\n\r\n".encode())
        began = time.monotonic()
        while idle.recv(65536):
            pass
        assert 0.5 < time.monotonic() - began < 6
    for slow in (one, two):
        slow.server.before_answer = lambda: time.sleep(4)
    assert ask(lab.port, A).status == 504
    assert "AdminUser" not in lab.log
    assert "HTTPOptions: a key of nginx, ignored: this table is read for HAProxy" in lab.log
    assert lab.terminate() == 0
    assert not pid.is_symlink()


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("[Extensions.web.Config]\nReadTimeout = 5\n", ("--extension", "haproxy"),
         ":2: Extensions.web.Config.ReadTimeout: [Extensions.web] has options of nginx, and this worker is told to"),
        ('[Extensions.web]\nExtension = "haproxy"\n', ("--extension", "nginx"),
         ":2: Extensions.web.Extension = 'haproxy': this worker is told to run 'nginx'; leave --extension out"),
        ('[Extensions.web]\nExtension = "haproxy"\n[Extensions.web.Config]\nServerTimeout = "60s"\n', (),
         ":4: Extensions.web.Config.ServerTimeout = '60s': a number belongs here"),
        ('[Extensions.web]\nExtension = "haproxy"\n[Extensions.web.Config]\nAccessLogPath = "/var/log/x"\n', (),
         ":4: Extensions.web.Config.AccessLogPath = '/var/log/x': HAProxy writes no files"),
        ('[Extensions.web]\nExtension = "haproxy"\nTemplate = "x.j2"\n', (),
         ":3: Extensions.web.Template = 'x.j2': templates are for nginx"),
        ('[Extensions.web]\nTemplate = "x.j2"\n', ("--extension", "haproxy"),
         ":2: Extensions.web.Template = 'x.j2': templates are for nginx"),
        ('[Extensions.web]\nExtension = "haproxy"\n[Extensions.web.Config]\nDefaultOptions = ["optionn x"]\n', (),
         ":4: Extensions.web.Config.DefaultOptions: HAProxy refuses 'optionn x'"),
    ],
)  # fmt: skip
def test_what_it_cannot_be_told_ends_it_before_it_starts_anything(
    lab: WorkerLab, file: Path, text: str, more: tuple[str, ...], said: str
) -> None:
    file.write_text(text)
    given = lab.command("--config", str(file), *more)
    ended = subprocess.run(given, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert f"Error: {file}{said}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert family.everyone_of((lab.state / "haproxy").resolve()) == []
