"""One node: a containerd and a dockerd in a mount namespace, a network namespace and a control group of their own."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.swarm.cables import Cables
from support.swarm.cgroups import Group
from support.swarm.commands import ENVIRONMENT, run, until

_CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "/run/containerd/containerd.sock"
"""


PLACE = "/run/docker.sock"
"""Where users expect the socket; each node has a /run of its own."""


class Node:
    """Node `number` of a lab; its files are in `folder`, which must be short: a unix socket lies in it.

    `images`: the data folder of an engine that has ended, whose images this one begins with.
    """

    def __init__(self, number: int, folder: Path, group: Group, cables: Cables, images: Path | None = None) -> None:
        self.number = number
        self.name = f"node{number}"
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.data = folder / "data"
        self._images = images
        self._group = group
        self._cables = cables
        self._engine: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def host(self) -> str:
        """For `docker -H`."""
        return f"unix://{self.socket}"

    @property
    def address(self) -> str:
        return self._cables.address(self.number)

    def start(self) -> None:
        """Starts the engine, or starts it again; returns when its API answers."""
        self.kill()
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._images is not None and not self.data.exists():
            inherit(self._images, self.data)
        self._cables.lay(self.number)
        for name in ("docker.sock", "dockerd.run"):
            (self.folder / name).unlink(missing_ok=True)
        enter = "".join(f"echo $$ > {path}; " for path in self._group.make("engine"))
        (self.folder / "containerd.toml").write_text(_CONTAINERD.format(folder=self.folder))
        # Mounts go with the node, and it has a /run and a host name of its own.
        script = (
            f"{enter}hostname {self.name}; mount -t tmpfs -o mode=755 tmpfs /run; "
            "mkdir -p /run/containerd /run/docker; "
            f"exec containerd --log-level warn --config {self.folder / 'containerd.toml'}"
        )
        namespace = f"--net={self._cables.namespace(self.number)}"
        unshared = ("unshare", "--mount", "--uts", "--propagation", "private", "--")
        first = self._spawn("containerd", ["nsenter", namespace, "--", *unshared, "/bin/sh", "-ec", script])
        ready = Path("/proc", str(first.pid), "root", "run/containerd/containerd.sock")
        until(lambda: ready.exists() or first.poll() is not None, 20, f"containerd of {self.name}")
        assert first.poll() is None, self.log("containerd")
        mine = f"/proc/{first.pid}/ns/"
        entered = ("nsenter", f"--net={mine}net", f"--mount={mine}mnt", f"--uts={mine}uts", "--")
        options = (
            "--data-root", self.data, "--exec-root", "/run/docker", "-H", self.host,
            "-H", f"unix://{PLACE}",
            "--containerd", "/run/containerd/containerd.sock", "--pidfile", self.folder / "dockerd.run",
            "--cgroup-parent", f"/{self._group.name}/ctr", "--log-level", "warn",
        )  # fmt: skip
        words = [*entered, "/bin/sh", "-ec", f'{enter}exec dockerd "$@"', "dockerd", *map(str, options)]
        second = self._spawn("dockerd", words)
        until(lambda: self.answers() or second.poll() is not None, 40, f"dockerd of {self.name}")
        assert second.poll() is None, self.log("dockerd")

    def stop(self) -> None:
        """SIGTERM to the engine, which stops its containers; then whatever is left ends."""
        engine = self._engine.get("dockerd")
        if engine is not None and engine.poll() is None:
            engine.send_signal(signal.SIGTERM)
            engine.wait(60)
        self.kill()

    def kill(self) -> None:
        """A crash: every process of the node at once."""
        self._group.kill()
        for process in self._engine.values():
            process.wait(10)
        self._engine.clear()

    def answers(self) -> bool:
        """Whether the Docker API does."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in probe.recv(64)
            except OSError:
                return False

    def docker(self, *words: str | Path, check: bool = True, timeout: float = 120) -> str:
        """What `docker …` prints against this node."""
        return run("docker", "-H", self.host, *words, check=check, timeout=timeout).strip()

    def enter(self, container: str | None = None) -> list[str]:
        """The words before a command that is to run in this node's network, or in that of a container of it."""
        if container is None:
            return ["nsenter", f"--net={self._cables.namespace(self.number)}", "--"]
        pid = self.docker("inspect", "-f", "{{.State.Pid}}", container)
        return ["nsenter", f"--net=/proc/{pid}/ns/net", "--"]

    def inside(self) -> list[str]:
        """The words before a command that is to run on the node: its network, its mounts, its host name."""
        pid = self.engine_pid()
        return [
            "nsenter",
            f"--net=/proc/{pid}/ns/net",
            f"--mount=/proc/{pid}/ns/mnt",
            f"--uts=/proc/{pid}/ns/uts",
            "--",
        ]

    def engine_pid(self) -> int:
        """Of dockerd, whose mount namespace holds the sandboxes of its networks."""
        return self._engine["dockerd"].pid

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def _spawn(self, name: str, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                env=ENVIRONMENT,
            )  # fmt: skip
        self._engine[name] = process
        return process


def inherit(data: Path, heir: Path) -> None:
    """Gives an engine that has never run the images of another, which has ended: no layer is unpacked again.

    No engine writes to the files of a layer, so they are shared; its notes about them are copied.
    """
    heir.mkdir(parents=True)
    run("cp", "-al", data / "overlay2", heir)
    run("cp", "-a", data / "image", heir)
