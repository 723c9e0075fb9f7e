"""The network of a lab: a switch in a namespace of its own, and a cable from it to each node's namespace."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.swarm.commands import run, succeeds

_NEW_NETWORK = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
SUBNET = "192.168.240"
_NETNS = Path("/run/netns")


@contextmanager
def within(namespace: Path) -> Iterator[None]:
    """This thread, and those that it starts, in a network namespace; afterwards it is back where it was."""
    back = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    try:
        _enter(namespace)
        try:
            yield
        finally:
            assert _LIBC.setns(back, _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(back)


def _enter(namespace: Path) -> None:
    handle = os.open(namespace, os.O_RDONLY)
    try:
        assert _LIBC.setns(handle, _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(handle)


class Cables:
    """`lab`: a short id that no other lab of this machine has."""

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self._switch = f"{lab}-sw"

    def namespace(self, node: int) -> Path:
        """The file of a node's network namespace."""
        return _NETNS / f"{self._lab}-n{node}"

    @staticmethod
    def address(node: int) -> str:
        """A node's address; only nodes reach it."""
        return f"{SUBNET}.{10 + node}"

    def lay(self, node: int) -> None:
        """Makes the node's namespace and its cable, and the switch where there is none."""
        self._make(self._switch)
        if not succeeds("ip", "-n", self._switch, "link", "show", "br0"):
            run("ip", "-n", self._switch, "link", "add", "br0", "type", "bridge")
            run("ip", "-n", self._switch, "link", "set", "br0", "up")
        name, port = self.namespace(node).name, f"p{node}"
        self._make(name)
        if not succeeds("ip", "-n", self._switch, "link", "show", port):
            peer = ("peer", "name", "eth0", "netns", name)
            run("ip", "-n", self._switch, "link", "add", port, "type", "veth", *peer)
            run("ip", "-n", self._switch, "link", "set", port, "master", "br0", "up")
            run("ip", "-n", name, "addr", "add", f"{self.address(node)}/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")

    def plug(self, node: int, *, into: bool) -> None:
        """Puts a node's cable into the switch, or takes it out."""
        run("ip", "-n", self._switch, "link", "set", f"p{node}", "up" if into else "down")

    def remove(self) -> None:
        """All namespaces of this lab."""
        for path in _NETNS.glob(f"{self._lab}-*"):
            run("ip", "netns", "del", path.name, check=False)

    @staticmethod
    def _make(name: str) -> None:
        if not (_NETNS / name).exists():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
