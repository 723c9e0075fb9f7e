"""A proxy on a disk of its own that is full: what still works, told as JSON. To be run in a mount namespace of its own.

    python -m support.full_disk KIND FOLDER PORT ONE TWO

`FOLDER` is the mount point of a small file system; `ONE` and `TWO` are ports of backends that say these names.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from interlock.errors import ProxyUnavailable
from interlock_extension.delivery.files import LastGood
from interlock_extension.port import Control, Renderer, Settings
from interlock_extension.registry import load
from support.nginx_lab import ask, until, view

HOST = "a.example"
OTHER = "b.example"


def fill(folder: Path) -> None:
    """To the last byte."""
    with (folder / "fill").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


class Proxy:
    """One control, and what it was given."""

    def __init__(self, kind: str, folder: Path, port: int) -> None:
        self.kind, self.folder, self.port = kind, folder / kind, port
        self.options = {"AccessLogPath": "off", "WorkerProcesses": 2}
        if kind == "nginx":
            self.options["ErrorLogPath"] = "/dev/null"
        self.renderer, self.control = self.open()

    def open(self) -> tuple[Renderer, Control]:
        return load(self.kind).open(
            Settings(folder=self.folder, listen=(f"127.0.0.1:{self.port}",), options=dict(self.options))
        )

    def files(self, **ports: int) -> dict[str, bytes]:
        names = {"a": HOST, "b": OTHER}
        hosts = {
            self.renderer.file_of(names[each]): self.renderer.host(view(names[each], port))
            for each, port in ports.items()
        }
        return {**self.renderer.shared(2, 9, default=False), **hosts}

    def kill(self) -> None:
        pid = self.control.pid  # type: ignore[attr-defined]  # both have it
        if self.kind == "nginx":
            for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(worker), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not self.control.alive(), "it is dead")

    def says(self, host: str = HOST) -> str:
        return ask(self.port, host).text.split()[0]


def tried(call: object, *arguments: object) -> str:
    """How it went, by one word."""
    try:
        found = call(*arguments)  # type: ignore[operator]
    except ProxyUnavailable as error:
        return "full" if "No space left" in str(error) else str(error)
    return found if isinstance(found, str) else "done"


def main(kind: str, folder: Path, port: int, one: int, two: int) -> dict[str, object]:
    proxy = Proxy(kind, folder, port)
    proxy.control.start(proxy.files(a=one, b=one))
    proxy.control.apply_snapshot(proxy.files(a=two, b=one), "next")
    fill(folder)
    found: dict[str, object] = {}
    proxy.kill()
    found["killed"] = tried(proxy.control.start, proxy.files(a=two, b=one))
    found["says"] = [proxy.says(), proxy.says(OTHER)]
    found["runs what it says"] = proxy.control.probe()
    witness = proxy.control.witness()
    found["witness"] = witness is not None and len(witness[1]) > 0
    large = {proxy.renderer.file_of("x.example"): b"#" * 9000}
    found["change"] = tried(proxy.control.apply_snapshot, proxy.files(a=one, b=two) | large, "next")
    found["says after"] = [proxy.says(), proxy.says(OTHER)]
    proxy.kill()
    found["killed again"] = tried(proxy.control.start, proxy.files(a=two, b=one))
    # The next worker.
    proxy.control.leave()
    LastGood(folder, "r/~")
    _, proxy.control = proxy.open()
    found["adopted"] = tried(proxy.control.start, proxy.files(a=two, b=one))
    # What it is to run lies not there.
    proxy.kill()
    found["other"] = tried(proxy.control.start, proxy.files(a=one, b=two) | large)
    (folder / "fill").unlink()
    found["space"] = [
        tried(proxy.control.start, proxy.files(a=two, b=one)),
        tried(proxy.control.apply_snapshot, proxy.files(a=one, b=two), "next"),
    ]
    found["says at last"] = [proxy.says(), proxy.says(OTHER)]
    proxy.control.stop(1.0)
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))))
