"""The proxies of a stack, each asked from where clients are: at a port of its node.

for proxy in stack.proxies:
    assert proxy.ask("shop.test").status == 200
"""

from __future__ import annotations

import json

import msgspec
from websockets.sync.client import ClientConnection

from support.swarm.commands import run
from support.swarm.lab import Swarm
from support.websocket import opened


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kind of proxy is in a stack: its service there, and the port of its node."""

    kind: str
    part: str
    port: int


NGINX = (Place(kind="nginx", part="proxy", port=80),)
"""What every stack of deploy/ has."""
BOTH = (*NGINX, Place(kind="haproxy", part="haproxy", port=8081))
"""With deploy/haproxy.yml: one service cluster, two proxies."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Status 0: none. `said`: what the backend said, empty where none did."""

    status: int = 0
    headers: dict[str, str] = {}
    said: dict[str, object] = {}
    body: str = ""

    @property
    def task(self) -> str:
        return str(self.said.get("task", ""))

    @property
    def version(self) -> str:
        return str(self.said.get("version", ""))


class Proxy:
    """One of a stack. `node`: whose port is asked unless told otherwise."""

    def __init__(self, swarm: Swarm, place: Place, node: int) -> None:
        self.kind, self.part, self.port = place.kind, place.part, place.port
        self.service = f"interlock_{place.part}"
        self._swarm = swarm
        self._node = node

    def __repr__(self) -> str:
        return self.kind

    def address(self, node: int | None = None) -> str:
        """Of the node that is asked."""
        return self._swarm.nodes[node or self._node].address

    def curl(self, host: str, path: str, *options: str, node: int | None = None) -> str:
        """What curl prints, from where clients are; empty where nobody answers."""
        url = f"http://{self.address(node)}:{self.port}{path}"
        words = ("curl", "-s", "-m", "5", *options, "-H", f"Host: {host}", url)
        return run(*self._swarm.client, *words, check=False)

    def ask(self, host: str, path: str = "/", *, node: int | None = None) -> Answer:
        """One request."""
        head, _, body = self.curl(host, path, "-D", "-", node=node).replace("\r\n", "\n").partition("\n\n")
        lines = head.splitlines()
        if not lines:
            return Answer()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        said = json.loads(body) if body.startswith("{") else {}
        return Answer(status=int(lines[0].split()[1]), headers=headers, said=said, body=body)

    def websocket(self, host: str, path: str, *, node: int | None = None) -> ClientConnection:
        """An open websocket."""
        with self._swarm.among_clients():
            return opened(self.port, host, path, address=self.address(node))
