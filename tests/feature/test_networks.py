"""Networks: on which of them the proxy reaches a service; where there is a choice, the user makes it."""

from __future__ import annotations

import ipaddress

import pytest

from support.pipeline import PREFIX, Pipeline


@pytest.fixture
def two_networks(pipeline: Pipeline) -> list[str]:
    present = {network["Name"] for network in pipeline.sim.call("GET", "/networks")}
    for name in ("n1", "n2", "stack_front"):
        if name not in present:
            pipeline.sim.create_network(name)
    return ["n1", "n2"]


def _subnet(pipeline: Pipeline, network: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(pipeline.sim.call("GET", f"/networks/{network}")["IPAM"]["Config"][0]["Subnet"])


def test_case_8_the_label_chooses_the_network(pipeline: Pipeline, two_networks: list[str]) -> None:
    """Case 8: x-upstream-addr is in the subnet of the network that was named; another label moves it."""
    pipeline.service("demo", networks=two_networks, labels={"network": "n2"})
    for name in ("n2", "n1"):
        pipeline.sim.set_labels("demo", {PREFIX + "network": name})

        def reached(name: str = name) -> bool:
            address = pipeline.get("demo.test").headers.get("x-upstream-addr", "").partition(":")[0]
            return bool(address) and ipaddress.IPv4Address(address) in _subnet(pipeline, name)

        pipeline.wait(reached, f"the service is reached on {name}")


def test_case_8_an_unattached_network_is_a_named_problem_and_harms_nobody_else(
    pipeline: Pipeline, two_networks: list[str]
) -> None:
    """Case 8: the service is not routed, the others keep working; the problem names value and remedy."""
    pipeline.service("good")
    pipeline.wait_routed("good.test")
    pipeline.service("bad", networks=two_networks, labels={"network": "elsewhere"})
    pipeline.service("vague", networks=two_networks)

    def told() -> bool:
        return {p.service for c in pipeline.status().clusters for p in c.problems} == {"bad", "vague"}

    pipeline.wait(told, "both problems are told")
    problems = {p.service: p for c in pipeline.status().clusters for p in c.problems}
    assert {p.key for p in problems.values()} == {PREFIX + "network"}
    assert problems["bad"].value == "elsewhere"
    assert "n1, n2" in problems["bad"].remedy
    assert "2 networks" in problems["vague"].reason
    assert pipeline.get("bad.test").status == pipeline.get("vague.test").status == 503
    assert pipeline.get("good.test").status == 200
    pipeline.sim.set_labels("bad", {PREFIX + "network": "n1"})
    pipeline.wait_routed("bad.test")


def test_case_7_the_name_of_the_stack_may_be_left_out(pipeline: Pipeline, two_networks: list[str]) -> None:
    """Case 7: network=demo_front and network=front both find the network of the stack."""
    for number, network in enumerate(("stack_front", "front")):
        labels = {"hosts": f"app{number}.test", "port": "8080", "network": network}
        pipeline.sim.create_service(
            f"stack_app{number}",
            labels={"com.docker.stack.namespace": "stack"} | {PREFIX + key: value for key, value in labels.items()},
            networks=["n1", "stack_front"],
        )
        address = pipeline.wait_routed(f"app{number}.test").headers["x-upstream-addr"].partition(":")[0]
        assert ipaddress.IPv4Address(address) in _subnet(pipeline, "stack_front")
