"""A lab for HAProxy's control: changes go the way that the worker goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock_extension.haproxy import extension, family
from interlock_extension.port import Change, HostView, Proof, Settings
from support.haproxy_lab import files_for
from support.nginx_lab import ask
from support.ports import free_port

HOST = "a.example"


class Lab:
    """One HAProxy by its control; `serve` goes the way that the worker goes."""

    def __init__(self, folder: Path, binary: str, **options: object) -> None:
        self.folder, self.port, self.binary = folder, free_port(), binary
        self.options = {"AccessLogPath": "off", "WorkerProcesses": 2, **options}
        self.views: dict[str, HostView] = {}
        self.open()

    def open(self) -> None:
        self.renderer, self.control = extension.open(
            Settings(
                folder=self.folder,
                listen=(f"127.0.0.1:{self.port}",),
                binary=self.binary,
                proxy_id="proxy-1",
                server_info="interlock/test",
                options=self.options,
            )
        )

    @property
    def files(self) -> dict[str, bytes]:
        return files_for(self.renderer, *self.views.values())  # type: ignore[arg-type]  # HAProxy's own

    def start(self, *views: HostView) -> str:
        self.views = {each.host.host: each for each in views}
        return self.control.start(self.files)

    def change(self, *views: HostView, gone: tuple[str, ...] = ()) -> Change:
        pairs = {each.host.host: (self.views.get(each.host.host), each) for each in views}
        pairs |= {host: (self.views.get(host), None) for host in gone}
        files = {self.renderer.file_of(h): self.renderer.host(now) if now else None for h, (_, now) in pairs.items()}
        return Change(hosts=pairs, files=files)

    def _keep(self, change: Change) -> None:
        for host, (_, now) in change.hosts.items():
            self.views.pop(host, None)
            if now:
                self.views[host] = now

    def update(self, *views: HostView, gone: tuple[str, ...] = ()) -> Proof:
        change = self.change(*views, gone=gone)
        proof = self.control.apply_delta(change, "next")
        self._keep(change)
        return proof

    def reload(self, *views: HostView, gone: tuple[str, ...] = ()) -> Proof:
        change = self.change(*views, gone=gone)
        proof = self.control.apply_snapshot(change.files, "next")
        self._keep(change)
        return proof

    @property
    def pids(self) -> list[int]:
        return [identity.pid for identity in family.everyone_of(self.folder.resolve())]


@contextmanager
def haproxy_control(folder: Path, binary: str) -> Iterator[Lab]:
    """One that leaves no process behind."""
    made = Lab(folder, binary)
    yield made
    made.control.stop(1.0)
    assert not made.pids


def texts(lab: Lab, host: str = HOST, times: int = 6) -> set[str]:
    return {ask(lab.port, host).text.split()[0] for _ in range(times)}
