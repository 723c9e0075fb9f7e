"""A service on no network, reached at the ports that it publishes on its nodes (host mode)."""

from __future__ import annotations

from typing import Any

from interlock_extension.drains import NODE_PORT_BUDGET
from support.pipeline import PREFIX, Pipeline
from support.ports import free_ports
from support.steps import asked, endpoints


def published(port: int = 0, mode: str = "host") -> dict[str, Any]:
    """The backend's port, as Docker's API takes it."""
    return {"Protocol": "tcp", "TargetPort": 8080, "PublishMode": mode, **({"PublishedPort": port} if port else {})}


def nodes(pipeline: Pipeline) -> set[str]:
    """Their addresses."""
    return {node["Status"]["Addr"] for node in pipeline.sim.call("GET", "/nodes")}


def test_case_23_the_address_of_the_node_and_the_port_there(pipeline: Pipeline) -> None:
    """Case 23, the application's half: on no overlay network, with a port that its label names."""
    [port] = free_ports(1)
    pipeline.service("demo", replicas=None, networks=[], ports=[published(port)])
    wanted = {f"{address}:{port}" for address in nodes(pipeline)}
    assert len(wanted) == 3
    pipeline.wait(lambda: set(asked(pipeline, "demo.test", 6, header="x-upstream-addr")) == wanted, "all three serve")
    [cluster] = pipeline.status().clusters
    assert not cluster.problems
    assert {e.network for route in pipeline.routes() for e in route.endpoints} == {""}


def test_a_network_that_proxies_can_join_goes_before_a_published_port(pipeline: Pipeline) -> None:
    [port] = free_ports(1)
    pipeline.service("demo", ports=[published(port)])
    pipeline.wait_routed("demo.test")
    [task] = pipeline.sim.wait_converged("demo")
    address = task["NetworksAttachments"][0]["Addresses"][0].partition("/")[0]
    assert asked(pipeline, "demo.test", 3, header="x-upstream-addr") == {f"{address}:8080": 3}


def test_a_port_that_is_not_published_in_host_mode_is_a_problem_until_it_is(pipeline: Pipeline) -> None:
    port, other = free_ports(2)
    pipeline.service("good", replicas=None, networks=[], ports=[published(port)])
    pipeline.service("demo", networks=[], ports=[published(mode="ingress")], labels={"port": "8080"})
    pipeline.wait_routed("good.test")
    problems = pipeline.wait(lambda: pipeline.status().clusters[0].problems, "the problem is told")
    assert [(p.service, p.key, p.value) for p in problems] == [("demo", PREFIX + "port", "8080")]
    assert "8080/tcp in ingress mode" in problems[0].reason
    assert "--publish-rm 8080 --publish-add mode=host,target=8080 demo" in problems[0].remedy
    assert asked(pipeline, "demo.test", 2) == {"503": 2}
    # What the remedy says.
    pipeline.sim.change("demo", lambda spec: spec["EndpointSpec"].update(Ports=[published(other)]))
    pipeline.wait_routed("demo.test")
    assert not pipeline.status().clusters[0].problems


def test_who_is_to_stop_is_let_go_before_its_sigterm_and_the_margin_counts_one_second(pipeline: Pipeline) -> None:
    """Docker says no more of the port of a task that it will stop; it drains all the same, and its margin is told."""
    # A name that no other test's drains bear.
    [port] = free_ports(1)
    pipeline.service("store", replicas=3, networks=[], ports=[published(port)])
    pipeline.wait(lambda: len(endpoints(pipeline, "store.test")) == 3, "three endpoints")
    pipeline.wait(lambda: len(asked(pipeline, "store.test", 6)) == 3, "all three serve")
    pipeline.sim.scale("store", 2)
    [drain] = pipeline.wait(
        lambda: (o := pipeline.outcome()) and [d for d in o.drains if d.service == "store"], "the drain is told"
    )
    assert drain.margin == NODE_PORT_BUDGET - (drain.let_go_at - drain.desired_at)
    pipeline.sim.wait_converged("store")
    [truth] = [t for t in pipeline.sim.tasks("store") if t["task_id"] == drain.task]
    assert drain.let_go_at < truth["sigterm"]
    assert truth["after_sigterm"] == []


def test_the_last_one_serves_until_it_is_gone(pipeline: Pipeline) -> None:
    [port] = free_ports(1)
    pipeline.service("demo", networks=[], ports=[published(port)])
    pipeline.wait_routed("demo.test")
    [task] = pipeline.sim.wait_converged("demo")
    pipeline.sim.scale("demo", 0)
    pipeline.wait(lambda: pipeline.status().clusters[0].draining, "it drains")
    assert asked(pipeline, "demo.test", 1) == {task["ID"]: 1}
    pipeline.wait_unrouted("demo.test")
