"""Each option of nginx in `[Extensions.X.Config]` has its effect: contract 3.4, against the real nginx."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.config.nginx import NGINX
from interlock.errors import ConfigError
from interlock_extension.machine import limits, processes
from interlock_extension.nginx import family
from support.nginx_lab import OLD_NGINX, Backend, Idle, ask, files_for, open_nginx, status_of, until, view
from support.ports import free_port

Make = Callable[..., Backend]
HOST = "a.example"


class Proxy:
    """One nginx with options, which serves one host by one backend."""

    def __init__(self, folder: Path, backend: Backend, **options: object) -> None:
        self.folder, self.backend, self.port = folder, backend, free_port()
        self.renderer, self.control = open_nginx(folder / "nginx", self.port, **options)
        self.control.start(files_for(self.renderer, view(HOST, backend.port)))

    def workers(self) -> list[int]:
        assert self.control.pid
        return [pid for pid in processes.children(self.control.pid) if processes.title(pid) == family.WORKER]

    @property
    def main(self) -> str:
        return (self.folder / "nginx" / "nginx.conf").read_text()


@pytest.fixture
def start(tmp_path: Path, backend: Make) -> Iterator[Callable[..., Proxy]]:
    made: list[Proxy] = []

    def make(**options: object) -> Proxy:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Proxy(folder, backend("one"), **options))
        return made[-1]

    yield make
    for one in made:
        one.control.stop(1.0)


Start = Callable[..., Proxy]


def raw(port: int, request: bytes, *, end: bool = False, timeout: float = 5.0) -> bytes:
    """Everything that is answered until the server closes, or within the time-out."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as link:
        link.sendall(request)
        if end:
            link.shutdown(socket.SHUT_WR)
        said = b""
        try:
            while data := link.recv(65536):
                said += data
        except TimeoutError:
            pass
        return said


# Towards services


@pytest.mark.parametrize(("options", "version"), [({}, "HTTP/1.1"), ({"HTTPVersion": "1.0"}, "HTTP/1.0")])
def test_http_version(start: Start, options: dict[str, object], version: str) -> None:
    proxy = start(**options)
    seen: list[str] = []
    handler = proxy.backend.server.RequestHandlerClass
    original = handler.parse_request

    def parse(self: object) -> bool:
        ok = original(self)
        seen.append(self.request_version)  # type: ignore[attr-defined]  # the handler's
        return ok

    handler.parse_request = parse  # type: ignore[method-assign]  # for this test alone
    try:
        assert ask(proxy.port, HOST).status == 200
    finally:
        handler.parse_request = original  # type: ignore[method-assign]  # as it was
    assert seen[-1] == version


def test_connections_to_services_are_kept(start: Start) -> None:
    """Which the version 1.1 is for."""
    proxy = start()
    peers = []
    proxy.backend.server.process_request = _noting(proxy.backend, peers)  # type: ignore[method-assign]  # to count
    for _ in range(5):
        assert ask(proxy.port, HOST).status == 200
    assert len(peers) == 1


def _noting(backend: Backend, peers: list[object]) -> Callable[..., None]:
    original = backend.server.process_request

    def process(request: object, address: object) -> None:
        peers.append(address)
        original(request, address)  # type: ignore[arg-type]  # handed on

    return process


def test_connect_timeout(start: Start) -> None:
    proxy = start(ConnectTimeout=1)
    # A backlog that is full: the kernel answers no SYN any more.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fill = [socket.socket() for _ in range(4)]
        for link in fill:
            link.setblocking(False)
            link.connect_ex(("127.0.0.1", port))
        proxy.control.apply_snapshot(files_for(proxy.renderer, view(HOST, port)), "test")
        began = time.monotonic()
        assert status_of(proxy.port, HOST) == 504
        assert 0.9 < time.monotonic() - began < 2.5
        for link in fill:
            link.close()


def test_read_timeout(start: Start) -> None:
    proxy = start(ReadTimeout=1)
    done = threading.Event()
    proxy.backend.server.before_answer = lambda: done.wait(5)
    began = time.monotonic()
    assert status_of(proxy.port, HOST) == 504
    assert 0.9 < time.monotonic() - began < 3
    done.set()


def test_send_timeout_towards_a_service(start: Start) -> None:
    proxy = start(SendTimeout=1, ClientMaxBodySize="0")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        proxy.control.apply_snapshot(files_for(proxy.renderer, view(HOST, deaf.getsockname()[1])), "test")
        size = 64 * 2**20
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=8) as link:
            sender = threading.Thread(target=lambda: _send_all(link, head, size))
            sender.start()
            began = time.monotonic()
            assert b" 504 " in link.recv(65536)
            assert 0.9 < time.monotonic() - began < 5
            link.close()
            sender.join()


def _send_all(link: socket.socket, head: bytes, size: int) -> None:
    try:
        link.sendall(head)
        for _ in range(size // 2**16):
            link.sendall(b"x" * 2**16)
    except OSError:
        return


def test_send_timeout_towards_a_client(start: Start, tmp_path: Path) -> None:
    """A client that does not read is let go."""
    log = tmp_path / "access.log"
    proxy = start(SendTimeout=1, AccessLogPath=str(log), MainLogFormat="' $status $body_bytes_sent';")
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000_000
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        thread = threading.Thread(target=lambda: _answer(server, big))
        thread.start()
        proxy.control.apply_snapshot(files_for(proxy.renderer, view(HOST, server.getsockname()[1])), "test")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=8) as link:
            link.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            until(lambda: " 499 " in log.read_text() or " 200 " in log.read_text(), "nginx gives the request up")
        thread.join(10)
        assert int(log.read_text().split()[1]) < 100_000_000


def _answer(server: socket.socket, data: bytes) -> None:
    link, _ = server.accept()
    with link:
        try:
            link.recv(65536)
            link.sendall(data)
        except OSError:
            return


# Sizes and time-outs of requests


def test_client_max_body_size(start: Start) -> None:
    proxy = start(ClientMaxBodySize="10k")
    assert ask(proxy.port, HOST, method="POST", body=b"x" * 10_240).status == 200
    assert ask(proxy.port, HOST, method="POST", body=b"x" * 10_241).status == 413


def test_bodies_of_32_megabytes_pass_by_default(start: Start) -> None:
    proxy = start()
    length = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: "
    assert b" 413 " in raw(proxy.port, f"{length}{32 * 2**20 + 1}\r\n\r\n".encode())
    assert ask(proxy.port, HOST, method="POST", body=b"x" * (32 * 2**20)).status == 200


def test_header_buffers(start: Start) -> None:
    proxy = start(ClientHeaderBufferSize="2k", LargeClientHeaderBuffers="2 3k")
    for size, status in ((2_900, 200), (3_100, 414)):
        assert ask(proxy.port, HOST, "/" + "p" * size).status == status
    for size, status in ((2_900, 200), (3_100, 400)):
        assert ask(proxy.port, HOST, **{"X-Long": "v" * size}).status == status
    # Two of them, and the first buffer.
    headers = {f"X-{n}": "v" * 2_500 for n in range(2)}
    assert ask(proxy.port, HOST, **headers).status == 200
    assert ask(proxy.port, HOST, **headers, **{"X-2": "v" * 2_500}).status == 400


def test_client_header_buffer_size(start: Start) -> None:
    """What fits into the first buffer needs none of the large ones."""
    assert (
        ask(start(ClientHeaderBufferSize="16k", LargeClientHeaderBuffers="1 1k").port, HOST, "/" + "p" * 9_000).status
        == 200
    )


def test_client_body_timeout(start: Start) -> None:
    proxy = start(ClientBodyTimeout="1s")
    began = time.monotonic()
    raw(proxy.port, f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n12".encode(), timeout=8)
    assert 0.9 < time.monotonic() - began < 4


def test_client_body_buffer_size(start: Start) -> None:
    """It has no effect that can be seen from outside while bodies are sent on at once: nginx takes it, and serves."""
    proxy = start(ClientBodyBufferSize="64k")
    assert "client_body_buffer_size 64k;" in proxy.main
    assert ask(proxy.port, HOST, method="POST", body=b"x" * 100_000).status == 200


def test_keepalive_timeout(start: Start) -> None:
    proxy = start(KeepaliveTimeout="1s", KeepaliveMinTimeout="0")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=8) as link:
        link.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert b" 200 " in link.recv(65536)
        began = time.monotonic()
        while link.recv(65536):
            pass
        assert 0.5 < time.monotonic() - began < 4


def test_without_keepalive_every_answer_closes(start: Start) -> None:
    idle = Idle(start(KeepaliveTimeout="0").port)
    assert idle.request(HOST)
    assert idle.ended
    idle.close()


@pytest.mark.parametrize(("options", "seen"), [({}, False), ({"UnderscoresInHeaders": True}, True)])
def test_underscores_in_headers(start: Start, options: dict[str, object], seen: bool) -> None:
    proxy = start(**options)
    ask(proxy.port, HOST, x_under_score="1")
    assert ("x_under_score" in proxy.backend.seen[-1][2]) is seen


def test_hide_info_headers(start: Start) -> None:
    hidden = ask(start(HideInfoHeaders=True).port, HOST).headers
    assert not [name for name in hidden if name.startswith("x-")]
    shown = ask(start().port, HOST).headers
    assert {"x-request-id", "x-proxy-id", "x-server-info", "x-upstream-addr", "x-upstream-response-time"} <= set(shown)


# nginx itself


@pytest.mark.parametrize(("written", "number"), [(3, 3), ("2", 2), ("auto", len(os.sched_getaffinity(0)))])
def test_worker_processes(start: Start, written: object, number: int) -> None:
    proxy = start(WorkerProcesses=written)
    until(lambda: len(proxy.workers()) == number, "as many after the start")
    proxy.control.apply_snapshot({}, "reload")
    until(lambda: len(proxy.workers()) == number, "as many after a reload")


def test_rlimit_nofile(start: Start) -> None:
    (worker,) = start(RLimitNoFile=777).workers()
    limits = Path(f"/proc/{worker}/limits").read_text()
    assert re.search(r"^Max open files +777 +777 ", limits, re.MULTILINE)


def test_as_many_files_as_interlock_has_by_default(start: Start) -> None:
    """Or as many as are allowed here: nginx would complain with each start of a worker."""
    proxy = start()
    (worker,) = proxy.workers()
    allowed = limits.open_files(65535)
    assert re.search(rf"^Max open files +{allowed} ", Path(f"/proc/{worker}/limits").read_text(), re.MULTILINE)
    assert "setrlimit" not in (proxy.folder / "error.log").read_text()


def test_max_connections(start: Start) -> None:
    proxy = start(MaxConnections=32)
    links: list[socket.socket] = []
    try:
        links += [socket.create_connection(("127.0.0.1", proxy.port), timeout=2) for _ in range(40)]
        until(
            lambda: "worker_connections are not enough" in (proxy.folder / "error.log").read_text(), "nginx has no more"
        )
    finally:
        for link in links:
            link.close()
    until(lambda: status_of(proxy.port, HOST) == 200, "it serves again")


def _user_of(pid: int) -> str:
    uid = int(re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1])  # type: ignore[index]  # each has one
    return pwd.getpwuid(uid).pw_name


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user may pass through, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="il-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.root
@pytest.mark.parametrize("user", ["www-data", "nobody www-data"])
def test_user(open_folder: Path, backend: Make, user: str) -> None:
    proxy = Proxy(open_folder, backend("one"), User=user)
    (worker,) = proxy.workers()
    assert _user_of(worker) == user.split(maxsplit=1)[0]
    group = re.search(r"^Gid:\s+(\d+)", Path(f"/proc/{worker}/status").read_text(), re.MULTILINE)
    assert group
    assert grp.getgrgid(int(group[1])).gr_name == "www-data"
    assert status_of(proxy.port, HOST) == 200
    proxy.control.stop(1.0)


@pytest.mark.root
def test_a_user_that_cannot_reach_the_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match=r"User = 'www-data': .* cannot pass through .*; choose another --state-dir"):
        open_nginx(tmp_path / "nginx", free_port(), User="www-data")


@pytest.mark.root
def test_the_user_that_ucp_writes_is_the_default_where_there_is_none(start: Start) -> None:
    with pytest.raises(KeyError):
        pwd.getpwnam("nginx")
    (worker,) = start(User="nginx").workers()
    (other,) = start().workers()
    assert _user_of(worker) == _user_of(other)


@pytest.mark.root
def test_an_unknown_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nginx option User = 'nobody-here': there is no such user"):
        open_nginx(tmp_path, free_port(), User="nobody-here")


def test_pid_path(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "proxy.pid"
    path.write_text("123\n")
    proxy = start(PidPath=str(path))
    assert int(path.read_text()) == proxy.control.pid
    proxy.control.stop(1.0)
    assert not path.is_symlink()
    assert not path.exists()


def test_a_pid_path_stays_while_nginx_is_left_running(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "proxy.pid"
    proxy = start(PidPath=str(path))
    pid = proxy.control.pid
    proxy.control.leave()
    assert int(path.read_text()) == pid
    _, next_one = open_nginx(proxy.folder / "nginx", proxy.port, PidPath=str(path))
    assert next_one.start(files_for(proxy.renderer, view(HOST, proxy.backend.port))) == "adopted"
    assert int(path.read_text()) == pid
    next_one.stop(1.0)
    assert not path.is_symlink()


def test_a_pid_path_goes_also_where_nginx_never_ran(tmp_path: Path) -> None:
    path = tmp_path / "proxy.pid"
    _, control = open_nginx(tmp_path / "nginx", free_port(), PidPath=str(path))
    assert path.is_symlink()
    control.stop(1.0)
    assert not path.is_symlink()


@pytest.mark.parametrize("taken", [True, False])
def test_a_pid_path_that_cannot_be_made_harms_nobody(start: Start, tmp_path: Path, taken: bool) -> None:
    path = tmp_path / "no" / "proxy.pid"
    if taken:
        path.parent.mkdir()
        path.write_text("precious")
    assert status_of(start(PidPath=str(path)).port, HOST) == 200
    assert not taken or path.read_text() == "precious"


def test_upstream_zone_size(start: Start) -> None:
    proxy = start(UpstreamZoneSize=256)
    assert re.search(r"zone \S+_backend 256k;", proxy.renderer.host(view(HOST, 1)).decode())
    assert status_of(proxy.port, HOST) == 200


def test_server_names_hash_bucket_size(start: Start) -> None:
    """As much as is asked for, and more where a name needs it: nginx starts either way."""
    proxy = start(ServerNamesHashBucketSize=32)
    long = f"{'x' * 60}.{'y' * 60}.{'z' * 60}.example"
    assert "server_names_hash_bucket_size 128;" in proxy.main
    proxy.control.apply_snapshot(files_for(proxy.renderer, view(long, proxy.backend.port)), "test")
    assert status_of(proxy.port, long) == 200
    assert "server_names_hash_bucket_size 256;" in proxy.main
    assert "server_names_hash_bucket_size 1024;" in start(ServerNamesHashBucketSize=1024).main


# Logs


def _logged(path: Path) -> str:
    until(path.exists, "a log")
    until(lambda: path.read_text().endswith("\n"), "a whole line")
    return path.read_text()


def test_access_log_path_and_its_default_format(start: Start, tmp_path: Path) -> None:
    proxy = start(AccessLogPath=str(tmp_path / "access.log"))
    ask(proxy.port, HOST, "/x", **{"User-Agent": "me", "X-Forwarded-For": "9.9.9.9"})
    line = _logged(tmp_path / "access.log")
    assert re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "GET /x HTTP/1\.1" 200 \d+ "-" "me" "9\.9\.9\.9"\n', line)


def test_main_log_format(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    proxy = start(AccessLogPath=str(path), MainLogFormat="'main $status '\n\t'\"$request\" ;';")
    ask(proxy.port, HOST, "/x")
    assert _logged(path) == 'main 200 "GET /x HTTP/1.1" ;\n'


def test_trace_log_format(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    proxy = start(AccessLogPath=str(path), LogFormat="trace", TraceLogFormat="escape=json '$upstream_addr';")
    ask(proxy.port, HOST)
    assert _logged(path) == f"127.0.0.1:{proxy.backend.port}\n"


def test_error_log_path(start: Start, tmp_path: Path) -> None:
    start(ErrorLogPath=str(tmp_path / "other.log"), GlobalOptions=["error_log /dev/null;"])
    assert (tmp_path / "other.log").exists()


def test_ip_hash(start: Start) -> None:
    assert "ip_hash;" in start(IPHash=True).renderer.host(view(HOST, 1, 2)).decode()


@pytest.mark.parametrize("key", ["AccessLogPath", "ErrorLogPath"])
def test_a_log_that_cannot_be_written_is_refused_before_nginx_is_started(start: Start, key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key} = '/nowhere/at/all'"):
        start(**{key: "/nowhere/at/all"})


# Raw lines


def test_http_options(start: Start) -> None:
    lines = ['add_header x-mine "$mine";', "map $uri $mine {", "  default no;", '  "/x" yes;', "}"]
    proxy = start(HTTPOptions=lines)
    assert ask(proxy.port, HOST, "/x").headers["x-mine"] == "yes"
    answer = ask(proxy.port, HOST, "/y")
    assert (answer.headers["x-mine"], answer.headers["x-proxy-id"]) == ("no", "proxy-1")


def test_http_options_replace_ours(start: Start) -> None:
    proxy = start(HTTPOptions=["client_max_body_size 1k;", "server_tokens on;", "proxy_read_timeout 1s;"])
    assert ask(proxy.port, HOST, method="POST", body=b"x" * 1025).status == 413
    assert "/" in ask(proxy.port, HOST).headers["server"]


def test_global_options(start: Start) -> None:
    (worker,) = start(GlobalOptions=["worker_priority 7;", "worker_rlimit_nofile 500;"]).workers()
    assert os.getpriority(os.PRIO_PROCESS, worker) == 7
    assert re.search(r"^Max open files +500 ", Path(f"/proc/{worker}/limits").read_text(), re.MULTILINE)


def test_tcp_options(start: Start) -> None:
    port = free_port()
    proxy = start(TCPOptions=[f"server {{ listen 127.0.0.1:{port}; return 'raw\\n'; }}"])
    assert raw(port, b"") == b"raw\n"
    assert status_of(proxy.port, HOST) == 200
    proxy.control.apply_snapshot({}, "reload")
    assert raw(port, b"") == b"raw\n"


@pytest.mark.old_nginx
def test_tcp_options_need_the_stream_module(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TCPOptions: nginx .* has no stream module; install it"):
        open_nginx(tmp_path, free_port(), binary=OLD_NGINX, TCPOptions=["server { listen 1; return x; }"])


@pytest.mark.parametrize(
    ("key", "lines", "said"),
    [
        (
            "HTTPOptions",
            ["gzip on;", "gzipp on;"],
            r"HTTPOptions, item 2 = 'gzipp on;': nginx refuses: unknown directive",
        ),
        ("HTTPOptions", ["gzip on"], r"HTTPOptions, item 1 = 'gzip on': nginx refuses: .*; end a directive with \";\""),
        (
            "HTTPOptions",
            ["gzip on;", "client_max_body_size 1m", "sendfile on;"],
            r"HTTPOptions, item 2 = 'client_max_body_size 1m': .*; without a \";\" it goes on into item 3: end it, or",
        ),
        (
            "HTTPOptions",
            ["add_header a", "gzip on;"],
            r"item 1 = 'add_header a': .*; without a \";\" it goes on into item 2",
        ),
        ("HTTPOptions", ["map $uri $a {", "default 1", "}"], r"item 2 = 'default 1': .*goes on into item 3"),
        ("HTTPOptions", ["gzip on", "# that is all"], r"item 1 = 'gzip on': .*goes on into item 2"),
        ("HTTPOptions", ["gzip", "on; gzipp on;"], r"item 2 = 'on; gzipp on;': .*unknown directive .gzipp.; correct"),
        ("HTTPOptions", ["gzip", "on; gzip_vary maybe;"], r"item 2 = .*invalid value .maybe. in .gzip_vary"),
        ("HTTPOptions", ["}"], r"HTTPOptions, item 1 = '}': nginx refuses: unexpected"),
        ("HTTPOptions", ["absolute_redirect on;"], r"item 1 .* directive is duplicate; Interlock sets that itself"),
        ("HTTPOptions", ["add_header x $nothing;"], r"item 1 .*unknown \"nothing\" variable; correct the line"),
        ("GlobalOptions", ["env A;", "daemon on;"], r"GlobalOptions, item 2 = 'daemon on;': .* is duplicate"),
        ("GlobalOptions", ["env A;", "master_process  off ;"], r"GlobalOptions, item 2 = .* could not be reloaded"),
        ("GlobalOptions", ["gzip on;"], r"GlobalOptions, item 1 .* is not allowed here"),
        ("TCPOptions", ["gzip on;"], r"TCPOptions, item 1 .* is not allowed here"),
        (
            "MainLogFormat",
            "'$nothing';",
            r"MainLogFormat = \"'\$nothing';\": nginx refuses: unknown \"nothing\" variable",
        ),
    ],
)
def test_nginx_refuses_a_raw_line_before_anything_starts(tmp_path: Path, key: str, lines: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_nginx(tmp_path, free_port(), **{key: lines})


def test_every_option_of_now_has_its_test() -> None:
    """A new key of the registry is not forgotten here."""
    text = Path(__file__).read_text()
    now = [key.name for key in NGINX.keys if key.effect == "now"]
    assert [name for name in now if not re.search(rf"\b{name}=|\"{name}\"", text)] == []
