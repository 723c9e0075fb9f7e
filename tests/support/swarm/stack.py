"""Interlock on a real Swarm as an operator runs it: our images, deployed by the stacks in deploy/.

with Stack(swarm, "single.yml") as stack:
    stack.service("shop", replicas=2)
    stack.wait_answers("shop.test", tasks=2)
    with stack.load(["shop.test"]) as load: …

It is not taken away again: the Swarm goes as a whole. Requests come from where clients are, to the port of the proxy's
node. Where a stack has several kinds of proxy, what waits does so for each of them, and `stack.proxies` is each.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType

import msgspec

from interlock.inspection.view import StatusView
from interlock.model.outcome import Outcome
from interlock_demo.load import Load
from support.house import ROOT
from support.swarm.commands import run, until
from support.swarm.images import Images
from support.swarm.lab import Swarm
from support.swarm.node import Node
from support.swarm.operator import NETWORK, Operator
from support.swarm.proxy import NGINX, Answer, Place, Proxy
from support.swarm.quiet import alone

NAME = "interlock"


class Stack(Operator):
    """A stack of deploy/, on a Swarm that has the images. `node`: whose ports are asked unless told otherwise.

    `places`: the proxies that it has. `operator`: the file with the bus' URL for who only looks, where the bus has
    users.
    """

    def __init__(
        self,
        swarm: Swarm,
        *files: str | Path,
        node: int = 1,
        places: Sequence[Place] = NGINX,
        env: Mapping[str, str] | None = None,
        operator: Path | None = None,
    ) -> None:
        super().__init__(swarm)
        self.node = node
        self.proxies = [Proxy(swarm, place, node) for place in places]
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
        """One request to the proxy of a node: the first, where there are several."""
        return self.proxies[0].ask(host, path, node=node)

    def until_each(self, met: Callable[[Proxy], object], timeout: float, what: str, every: float = 0.05) -> None:
        """Waits for it, with each proxy. Raises AssertionError with `what`."""
        for proxy in self.proxies:
            until(partial(met, proxy), timeout, f"{what}, by {proxy}", every)

    def wait_answers(
        self, host: str, *, tasks: int, version: str = "1", node: int | None = None, timeout: float = 60
    ) -> None:
        """Waits until just so many tasks of this version answer, by each proxy."""
        seen: list[Answer] = []

        def answered(proxy: Proxy) -> bool:
            seen[:] = [proxy.ask(host, node=node) for _ in range(3 * tasks)]
            return all(a.version == version for a in seen) and len({a.task for a in seen}) == tasks

        try:
            self.until_each(answered, timeout, f"{tasks} tasks of version {version} answer at {host}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {[(a.status, a.task, a.version) for a in seen]}") from error

    def wait_unrouted(self, host: str, *, node: int | None = None) -> None:
        """Waits until each proxy answers 503 by itself."""

        def unrouted(proxy: Proxy) -> bool:
            answer = proxy.ask(host, node=node)
            return answer.status == 503 and not answer.said

        self.until_each(unrouted, 60, f"{host} is not routed")

    @contextmanager
    def load(self, hosts: list[str], *, rate: float = 200, node: int | None = None) -> Iterator[Load]:
        """A load from where clients are, on the first proxy."""
        with self.loads(hosts, rate=rate * len(self.proxies), node=node) as loads:
            yield loads[self.proxies[0].kind]

    @contextmanager
    def loads(self, hosts: list[str], *, rate: float = 200, node: int | None = None) -> Iterator[dict[str, Load]]:
        """A load on each proxy, by its kind; together so many requests a second."""
        loads = {
            proxy.kind: Load(hosts, port=proxy.port, address=proxy.address(node), rate=rate / len(self.proxies))
            for proxy in self.proxies
        }
        with alone(), ExitStack() as running:
            with self.swarm.among_clients():
                for load in loads.values():
                    load.start()
                    running.callback(load.stop)
            yield loads

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
def single(store: Images, *more: Path, nodes: int, places: Sequence[Place] = NGINX) -> Iterator[Stack]:
    """deploy/single.yml (and more files) on a Swarm of its own, when its proxies are healthy."""
    swarm = Swarm(Path(tempfile.mkdtemp(prefix="il-sw-")), images=store.product(), nodes=nodes)
    beside = [f"{place.kind}.yml" for place in places[1:]]
    with swarm, Stack(swarm, "single.yml", *beside, *more, places=places) as stack:
        for proxy in stack.proxies:
            stack.wait_healthy(proxy.part)
        yield stack
