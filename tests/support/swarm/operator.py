"""What an operator does with services of a real Swarm, by the command line."""

from __future__ import annotations

from collections.abc import Sequence

from support.swarm import images
from support.swarm.lab import Swarm

NETWORK = "web"


class Operator:
    """On a Swarm that has the backend's image and the network `web`."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm

    def docker(self, *words: str, check: bool = True) -> str:
        return self.swarm.docker(*words, check=check)

    def service(
        self,
        name: str,
        *,
        replicas: int = 1,
        networks: Sequence[str] = (NETWORK,),
        options: Sequence[str] = (),
        **labels: str,
    ) -> None:
        """A service that answers at `<name>.test`, or as `labels` (without their prefix) say; empty: not there."""
        chosen = {"hosts": f"{name}.test", "port": "8080", **labels}
        words = [f"--label=com.docker.lb.{key}={value}" for key, value in chosen.items() if value]
        words += [f"--network={network}" for network in networks]
        self.docker(
            "service", "create", "-d", "-q", "--no-resolve-image", "--name", name, "--replicas", str(replicas),
            *words, *options, images.BACKEND,
        )  # fmt: skip

    def update(self, name: str, *options: str) -> None:
        """`docker service update`, without waiting for it."""
        self.docker("service", "update", "-d", "-q", "--no-resolve-image", *options, name)

    def scale(self, name: str, replicas: int) -> None:
        self.docker("service", "scale", "-d", f"{name}={replicas}")

    def remove(self, *names: str) -> None:
        self.docker("service", "rm", *names)

    def settled(self, name: str) -> bool:
        """Whether no update of the service is under way."""
        said = self.docker("service", "inspect", "-f", "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}", name)
        return said in {"", "completed"}
