"""Where a service answers: behind a virtual IP, or at ports of its nodes."""

from __future__ import annotations

import pytest

from interlock.model.problem import Problem
from interlock.model.routing import Endpoint
from interlock.model.swarm import Network, Service, ServicePort, Task
from interlock_planner.stages.claims import claim_of
from support.swarm_values import LB, NET, service, task

ON_NODES = ServicePort(target=8080, mode="host")
UNGIVEN = Network(id=NET.id, name="web")


def endpoints(of: Service) -> tuple[Endpoint, ...]:
    claim, problems = claim_of(of)
    assert claim is not None
    assert not problems
    return claim.endpoints


def refusal(of: Service) -> Problem:
    claim, (problem,) = claim_of(of)
    # Its hosts stay its own all the same.
    assert claim is not None
    assert (claim.served, claim.endpoints) == (False, ())
    assert problem.severity == "error"
    return problem


def behind_vip(*tasks: Task, network: Network = NET, dnsrr: bool = False) -> Service:
    return service("shop", *tasks, networks=(network,), dnsrr=dnsrr, hosts="a.com", backend_mode="vip", replicas=2)


def on_nodes(*tasks: Task, ports: tuple[ServicePort, ...] = (ON_NODES,), **labels: str) -> Service:
    return service("shop", *tasks, networks=(), ports=ports, hosts="a.com", replicas=2, **labels)


def draining(name: str, since: float | None, **options: object) -> Task:
    return task(name, desired="shutdown", draining_since=since, **options)  # type: ignore[arg-type]


VIRTUAL = Endpoint(address="10.0.1.2", port=8080, task="vip", service_id="id-shop", service="shop", network="web")


@pytest.mark.parametrize(
    "tasks",
    [
        (task("t1"),),
        (task("t1"), task("t2", "10.0.1.11")),
        # A rolling update of two: one drains or starts, one is wanted.
        (draining("t1", 5.0), task("t2")),
        (task("t1", state="starting"), task("t2")),
        (task("t1", node_down=True), task("t2")),
    ],
)
def test_a_virtual_ip_is_the_only_endpoint_and_tasks_change_nothing(tasks: tuple[Task, ...]) -> None:
    assert endpoints(behind_vip(*tasks)) == (VIRTUAL,)


@pytest.mark.parametrize(
    "tasks",
    [
        # Created a moment ago, or between the two tasks of an update of one.
        (),
        (task("t1", state="starting"),),
        (task("t1", node_down=True),),
        # Not yet on the network that serves now.
        (task("t1", None),),
    ],
)
def test_no_task_behind_it_is_no_endpoint(tasks: tuple[Task, ...]) -> None:
    assert endpoints(behind_vip(*tasks)) == ()


def test_it_drains_from_when_the_last_of_its_tasks_does() -> None:
    [found] = endpoints(behind_vip(draining("t1", 5.0), draining("t2", 7.0), draining("t3", None)))
    assert found.draining_since == 7.0
    [found] = endpoints(behind_vip(draining("t1", None), task("t2", state="starting")))
    assert found.draining


def test_a_service_without_virtual_ip() -> None:
    for tasks in ((), (task("t1"),)):
        problem = refusal(behind_vip(*tasks, network=UNGIVEN, dnsrr=True))
        assert (problem.key, problem.value) == (LB + "backend_mode", "vip")
        assert "dnsrr" in problem.reason
        assert "--endpoint-mode vip shop" in problem.remedy


def test_a_virtual_ip_that_swarm_has_not_given_yet_is_no_problem_until_a_task_runs() -> None:
    assert endpoints(behind_vip(task("t1", state="pending"), network=UNGIVEN)) == ()
    assert "driver overlay" in refusal(behind_vip(task("t1"), network=UNGIVEN)).reason


def test_ports_of_nodes() -> None:
    found = endpoints(
        on_nodes(
            task("a-wanted", None, node="192.0.2.1", published=30001),
            draining("b-draining", 7.5, address=None, node="192.0.2.2", published=30002),
            task("c-starting", None, state="starting", node="192.0.2.3", published=30003),
            task("d-no-port-yet", None, node="192.0.2.4"),
            task("e-no-such-node", None, published=30005),
        )
    )
    common = {"service_id": "id-shop", "service": "shop"}
    assert found == (
        Endpoint(address="192.0.2.1", port=30001, task="a-wanted", **common),
        Endpoint(address="192.0.2.2", port=30002, task="b-draining", draining_since=7.5, **common),
    )


def test_a_port_that_no_task_has_yet_is_no_problem() -> None:
    assert endpoints(on_nodes()) == ()


def test_old_tasks_still_serve_when_the_service_publishes_no_more() -> None:
    old = task("t1", None, node="192.0.2.1", published=30001)
    assert len(endpoints(on_nodes(old, ports=()))) == 1


def test_a_network_goes_before_a_port() -> None:
    both = service("shop", task("t1", node="192.0.2.1", published=30001), ports=(ON_NODES,), hosts="a.com")
    assert [(e.address, e.port) for e in endpoints(both)] == [("10.0.1.10", 8080)]


@pytest.mark.parametrize(
    ("ports", "publishes", "remedy"),
    [
        (
            (ServicePort(target=8080, published=80),),
            "it publishes 8080/tcp as 80 in ingress mode",
            "--publish-rm 8080 --publish-add mode=host,target=8080 shop",
        ),
        (
            (ServicePort(target=9090, mode="host"),),
            "9090/tcp in host mode",
            "update --publish-add mode=host,target=8080 shop, or set com.docker.lb.port to one that is (9090)",
        ),
        (
            (ServicePort(target=8080, protocol="udp", mode="host"),),
            "8080/udp in host mode",
            "--publish-add mode=host,target=8080",
        ),
        (tuple(ServicePort(target=n) for n in range(1, 9)), "5/tcp in ingress mode and 3 more", "overlay network"),
    ],
)
def test_a_port_that_is_not_published_in_host_mode(ports: tuple[ServicePort, ...], publishes: str, remedy: str) -> None:
    problem = refusal(on_nodes(task("t1", None, node="192.0.2.1"), ports=ports))
    assert (problem.key, problem.value) == (LB + "port", "8080")
    assert publishes in problem.reason
    assert remedy in problem.remedy


def test_a_virtual_ip_needs_a_network() -> None:
    problem = refusal(on_nodes(task("t1", None, node="192.0.2.1", published=30001), backend_mode="vip"))
    assert (problem.key, problem.value) == (LB + "backend_mode", "vip")
    assert "overlay" in problem.remedy
