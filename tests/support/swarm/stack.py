"""Interlock on a real Swarm as an operator runs it: our images, deployed by the stacks in deploy/.

with Stack(swarm, "single.yml") as stack:
    stack.service("shop", replicas=2)
    stack.wait_answers("shop.test", tasks=2)
    with stack.load(["shop.test"]) as load: …

It is not taken away again: the Swarm goes as a whole. Requests come from where clients are, to the port of the proxy's
node.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType

import msgspec
from websockets.sync.client import ClientConnection

from interlock.inspection.view import StatusView
from interlock.model.outcome import Outcome
from interlock_demo.load import Load
from support.house import ROOT
from support.swarm.commands import run, until
from support.swarm.images import Images
from support.swarm.lab import Swarm
from support.swarm.node import Node
from support.swarm.operator import NETWORK, Operator
from support.swarm.quiet import alone
from support.websocket import opened

NAME = "interlock"
PORT = 80


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


class Stack(Operator):
    """A stack of deploy/, on a Swarm that has the images. `node`: whose port 80 is asked unless told otherwise.

    `operator`: the file with the bus' URL for who only looks, where the bus has users.
    """

    def __init__(
        self,
        swarm: Swarm,
        *files: str | Path,
        node: int = 1,
        env: Mapping[str, str] | None = None,
        operator: Path | None = None,
    ) -> None:
        super().__init__(swarm)
        self.node = node
        self._files = [ROOT / "deploy" / file for file in files]
        self._env = dict(env or {})
        self._operator = operator

    def __enter__(self) -> Stack:
        manager = self.swarm.manager()
        if NETWORK not in manager.docker("network", "ls", "--format", "{{.Name}}").split():
            manager.docker("network", "create", "-d", "overlay", "--attachable", NETWORK)
        self.deploy()
        return self

    def deploy(self) -> None:
        """`docker stack deploy`, also again."""
        group = self.swarm.nodes[1].socket.stat().st_gid
        words = ["env", f"DOCKER_GID={group}", *(f"{name}={value}" for name, value in self._env.items())]
        words += ["docker", "-H", self.swarm.manager().host, "stack", "deploy", "--resolve-image", "never"]
        run(*words, *(word for file in self._files for word in ("-c", str(file))), NAME)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self.tell()

    def tell(self) -> None:
        """For whoever reads a failed test: what each part logged, but for requests."""
        manager = self.swarm.manager()
        print(manager.docker("service", "ls", check=False))
        for service in manager.docker("service", "ls", "--format", "{{.Name}}", check=False).split():
            said = manager.docker("service", "logs", "--raw", "--tail", "80", service, check=False, timeout=20)
            lines = [line for line in said.splitlines() if '" 200 ' not in line]
            print(f"\n=== {service} ===\n" + "\n".join(lines[-40:]))

    # Its clients

    def ask(self, host: str, path: str = "/", *, node: int | None = None) -> Answer:
        """One request to the proxy of a node."""
        url = f"http://{self.swarm.nodes[node or self.node].address}:{PORT}{path}"
        words = ("curl", "-s", "-m", "5", "-D", "-", "-H", f"Host: {host}", url)
        head, _, body = run(*self.swarm.client, *words, check=False).replace("\r\n", "\n").partition("\n\n")
        lines = head.splitlines()
        if not lines:
            return Answer()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        said = json.loads(body) if body.startswith("{") else {}
        return Answer(status=int(lines[0].split()[1]), headers=headers, said=said, body=body)

    def websocket(self, host: str, path: str, *, node: int | None = None) -> ClientConnection:
        """An open websocket from where clients are."""
        with self.swarm.among_clients():
            return opened(PORT, host, path, address=self.swarm.nodes[node or self.node].address)

    def wait_answers(
        self, host: str, *, tasks: int, version: str = "1", node: int | None = None, timeout: float = 60
    ) -> None:
        """Waits until just so many tasks of this version answer."""
        seen: list[Answer] = []

        def answered() -> bool:
            seen[:] = [self.ask(host, node=node) for _ in range(3 * tasks)]
            return all(a.version == version for a in seen) and len({a.task for a in seen}) == tasks

        try:
            until(answered, timeout, f"{tasks} tasks of version {version} answer at {host}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {[(a.status, a.task, a.version) for a in seen]}") from error

    def wait_unrouted(self, host: str, *, node: int | None = None) -> None:
        """Waits until the proxy answers 503 by itself."""

        def unrouted() -> bool:
            answer = self.ask(host, node=node)
            return answer.status == 503 and not answer.said

        until(unrouted, 60, f"{host} is not routed")

    @contextmanager
    def load(self, hosts: list[str], *, rate: float = 200, node: int | None = None) -> Iterator[Load]:
        """A load from where clients are."""
        load = Load(hosts, port=PORT, address=self.swarm.nodes[node or self.node].address, rate=rate)
        with alone():
            with self.swarm.among_clients():
                load.start()
            try:
                yield load
            finally:
                load.stop()

    # The installation

    def containers(self, part: str) -> list[tuple[Node, str]]:
        """The running containers of a service of the stack, with their nodes."""
        wanted = f"label=com.docker.swarm.service.name={NAME}_{part}"
        return [
            (node, id_)
            for node in self.swarm.nodes.values()
            if node.answers()
            for id_ in node.docker("ps", "-q", "-f", wanted).split()
        ]

    def interlock(self, *words: str) -> str:
        """What `interlock …` prints, with the settings of a planner's container, or the operator's."""
        until(lambda: self.containers("planner"), 60, "a planner runs", every=0.5)
        node, id_ = self.containers("planner")[0]
        as_operator = ("--bus", self._operator.read_text().strip()) if self._operator else ()
        return node.docker("exec", id_, "interlock", *words, *as_operator)

    def status(self) -> StatusView:
        return msgspec.json.decode(self.interlock("status", "--json"), type=StatusView)

    def outcomes(self) -> list[Outcome]:
        """What each proxy last said."""
        return [proxy.outcome for cluster in self.status().clusters for proxy in cluster.proxies]

    def clear(self) -> None:
        """Removes every service that is not Interlock's, and waits until nothing is served."""
        found = self.docker("service", "ls", "--format", "{{.Name}}").split()
        mine = [name for name in found if not name.startswith(f"{NAME}_")]
        if mine:
            self.remove(*mine)
        until(lambda: not any(cluster.hosts for cluster in self.status().clusters), 30, "no host is left")

    def wait_drained(self) -> None:
        """Waits until nothing drains any more: what Swarm lets go of is signalled three seconds later."""
        until(lambda: not any(c.draining for c in self.status().clusters), 30, "nothing drains any more", every=0.5)

    def health(self, part: str) -> list[tuple[str, str]]:
        """State of health of each container of a part, and what its last check said."""
        found = []
        for node, id_ in self.containers(part):
            said = json.loads(node.docker("inspect", "-f", "{{json .State.Health}}", id_))
            log = said.get("Log") or [{"Output": ""}]
            found.append((said["Status"], log[-1]["Output"].strip()))
        return found

    def logged(self, part: str, words: str) -> list[float]:
        """When the containers of a part have logged a line with these words, Unix seconds."""
        logs = [run("sh", "-c", f"docker -H {node.host} logs {id_} 2>&1") for node, id_ in self.containers(part)]
        lines = [line for log in logs for line in log.splitlines()]
        return [datetime.fromisoformat(line.split()[0]).timestamp() for line in lines if words in line]

    def wait_healthy(self, part: str, timeout: float = 60) -> None:
        def healthy() -> bool:
            found = self.health(part)
            return bool(found) and all(state == "healthy" for state, _ in found)

        until(healthy, timeout, f"{part} is healthy", every=0.5)


@contextmanager
def single(store: Images, *more: Path, nodes: int) -> Iterator[Stack]:
    """deploy/single.yml (and more files) on a Swarm of its own, when its proxy is healthy."""
    swarm = Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), images=store.product(), nodes=nodes)
    with swarm, Stack(swarm, "single.yml", *more) as stack:
        stack.wait_healthy("proxy")
        yield stack
