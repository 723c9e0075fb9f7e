"""A Swarm of several nodes. See the package for how it is used."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from hashlib import blake2s
from pathlib import Path
from types import TracebackType

from support.swarm import cgroups
from support.swarm.cables import Cables, within
from support.swarm.cgroups import Group
from support.swarm.commands import run, until
from support.swarm.node import Node
from support.swarm.quiet import alone


class Swarm:
    """`folder`: a short path; `heartbeat`: seconds after which a silent node is soon taken for lost (Swarm's: 5).

    `images`: what every node begins with, see `Images`. Not `formed`: one engine, and no swarm.
    """

    def __init__(
        self,
        folder: Path,
        *,
        images: Path | None = None,
        nodes: int = 1,
        managers: int = 1,
        heartbeat: float = 1.0,
        formed: bool = True,
    ) -> None:
        self.folder = folder
        lab = "il" + blake2s(str(folder).encode(), digest_size=3).hexdigest()
        self._group = Group(lab)
        self._cables = Cables(lab)
        self._managers = managers
        self._heartbeat = heartbeat
        self._formed = formed
        self.nodes = {
            number: Node(number, folder / f"n{number}", Group(f"{lab}/n{number}"), self._cables, images)
            for number in range(1, nodes + 1)
        }

    def __enter__(self) -> Swarm:
        try:
            cgroups.mount()
            # Number 0 is nobody's: clients are there, who reach the nodes as the world does.
            for number in (0, *self.nodes):
                self._cables.lay(number)
            # Who asks for a single engine has the machine to itself.
            with alone() if self._formed else nullcontext():
                together(Node.start, self.nodes.values())
                if self._formed:
                    self._form()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.remove()

    def _form(self) -> None:
        first = self.nodes[1]
        first.docker("swarm", "init", *_addresses(first))
        first.docker("swarm", "update", "--dispatcher-heartbeat", f"{self._heartbeat:g}s")

        def join(node: Node, role: str) -> None:
            token = first.docker("swarm", "join-token", "-q", role)
            node.docker("swarm", "join", "--token", token, *_addresses(node), f"{first.address}:2377")

        others = [node for node in self.nodes.values() if node is not first]
        # Managers one by one: each joins a quorum.
        for node in others[: self._managers - 1]:
            join(node, "manager")
        together(lambda node: join(node, "worker"), others[self._managers - 1 :])
        until(lambda: self.ready() == set(self.nodes), 60, "all nodes are ready")

    def ready(self) -> set[int]:
        """The nodes that the Swarm has as ready."""
        listed = self.manager().docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}", check=False)
        return {int(line.split()[0].removeprefix("node")) for line in listed.splitlines() if line.endswith("Ready")}

    def manager(self) -> Node:
        """A manager whose engine answers."""
        return next(node for node in list(self.nodes.values())[: self._managers] if node.answers())

    def docker(self, *words: str | Path, check: bool = True, timeout: float = 120) -> str:
        """What `docker …` prints against a manager."""
        return self.manager().docker(*words, check=check, timeout=timeout)

    def exec(self, node: int, *command: str, container: str | None = None, check: bool = True) -> str:
        """A command of the machine in the network of a node, where 127.0.0.1 is the node, or of a container of it."""
        return run(*self.nodes[node].enter(container), *command, check=check)

    @contextmanager
    def among_clients(self, container: tuple[int, str] | None = None) -> Iterator[None]:
        """Within it, this thread and those it starts are in the clients' network, or in a container's (node, id)."""
        place = self.client if container is None else self.nodes[container[0]].enter(container[1])
        with within(Path(place[1].removeprefix("--net="))):
            yield

    @property
    def client(self) -> list[str]:
        """The words before a command that is to run where clients are."""
        return ["nsenter", f"--net={self._cables.namespace(0)}", "--"]

    def cut(self, node: int) -> None:
        """Takes a node's cable out; its Docker socket still answers."""
        self._cables.plug(node, into=False)

    def heal(self, node: int) -> None:
        """Puts it back."""
        self._cables.plug(node, into=True)

    def remove(self) -> None:
        """Ends everything and leaves nothing behind."""
        together(Node.kill, self.nodes.values())
        self._group.kill()
        self._group.remove()
        self._cables.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def _addresses(node: Node) -> tuple[str, ...]:
    listen = f"{node.address}:2377"
    return ("--advertise-addr", node.address, "--listen-addr", listen, "--data-path-addr", node.address)


def together(act: Callable[[Node], object], nodes: Iterable[Node]) -> None:
    """`act` on every node at once; the first error, after all have ended."""
    errors: list[BaseException] = []

    def one(node: Node) -> None:
        try:
            act(node)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
