"""The real `docker` command line against the simulator."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from interlock_simulator.client import SimulatorClient
from support.simulator import running_simulator

pytestmark = [
    pytest.mark.docker_cli,
    pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker command line here"),
]

Docker = Callable[..., str]


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorClient]:
    with running_simulator(tmp_path_factory.mktemp("sim"), nodes=2) as sim:
        yield sim


@pytest.fixture
def cli(sim: SimulatorClient, tmp_path_factory: pytest.TempPathFactory) -> Docker:
    home = str(tmp_path_factory.mktemp("home"))

    def run(*arguments: str, fails: bool = False) -> str:
        env = {**os.environ, "DOCKER_HOST": sim.docker_url, "DOCKER_CONFIG": home}
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=40, env=env, check=False)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_the_whole_life_of_a_service(cli: Docker, sim: SimulatorClient) -> None:
    assert "1.47" in cli("version", "--format", "{{.Client.APIVersion}} {{.Server.APIVersion}}")
    assert "active" in cli("info", "--format", "{{.Swarm.LocalNodeState}}")
    cli("network", "create", "-d", "overlay", "--subnet", "127.111.0.0/24", "web")
    made = cli("service", "create", "--name", "shop", "--network", "web", "--replicas", "2", "--env", "APP_VERSION=1",
               "--update-monitor", "200ms", "--label", "com.docker.lb.hosts=shop.local", "demo/shop:1")  # fmt: skip
    assert "converged" in made
    assert "2/2" in cli("service", "ls")
    assert "shop.1" in cli("service", "ps", "shop")
    assert "converged" in cli(
        "service", "update", "--env-add", "APP_VERSION=2", "--update-order", "start-first", "shop"
    )
    assert cli("service", "inspect", "shop", "--format", "{{.UpdateStatus.State}}").strip() == "completed"
    assert "APP_VERSION=2" in cli("service", "inspect", "--pretty", "shop")
    cli("service", "rollback", "shop")
    assert "APP_VERSION=1" in cli("service", "inspect", "--pretty", "shop")
    assert "converged" in cli("service", "scale", "shop=3")
    sim.wait_converged("shop", 10)
    assert cli("ps", "-q").split().__len__() == 3
    cli("service", "update", "-d", "--label-add", "x=y", "shop")
    assert "in use by service" in cli("network", "rm", "web", fails=True)
    cli("service", "rm", "shop")
    assert "no such service" in cli("service", "inspect", "shop", fails=True)
    cli("network", "rm", "web")


def test_nodes_networks_secrets_and_events(cli: Docker, sim: SimulatorClient) -> None:
    assert "Leader" in cli("node", "ls")
    cli("node", "update", "--label-add", "zone=a", "--availability", "drain", "node2")
    assert "zone=a" in cli("node", "inspect", "--pretty", "node2")
    assert "Drain" in cli("node", "ls")
    cli("node", "update", "--availability", "active", "node2")
    assert "ingress" in cli("network", "ls")
    assert cli("secret", "ls").strip().startswith("ID")
    assert cli("config", "ls").strip().startswith("ID")
    until = str(int(time.time()) + 1)
    told = cli("events", "--since", "10m", "--until", until, "--filter", "type=node", "--format", "{{json .}}")
    assert '"availability.new":"drain"' in told
    assert '"scope":"swarm"' in told


def test_a_global_service_and_an_error_in_docker_s_words(cli: Docker) -> None:
    assert "converged" in cli("service", "create", "--name", "agent", "--mode", "global", "demo/agent:1")
    assert "2/2" in cli("service", "ls")
    assert "already exists" in cli("service", "create", "-d", "--name", "agent", "demo/agent:1", fails=True)
    assert "outside 127.0.0.0/8" in cli(
        "network", "create", "-d", "overlay", "--subnet", "10.9.0.0/24", "far", fails=True
    )
    cli("service", "rm", "agent")
