"""One service alone: which network serves it, which endpoints it has, what is wrong with it."""

from __future__ import annotations

import pytest

from interlock.model.problem import Problem
from interlock.model.routing import Endpoint, Route
from interlock.model.swarm import Network, Service, ServicePort
from interlock_planner.stages.claims import age_of, claim_of
from support.swarm_values import LB, NET, service, task

OTHER = Network(id="net2", name="shop_db", vip="10.0.2.2")
INGRESS = Network(id="net0", name="ingress", ingress=True, vip="10.255.0.2")


def addresses(of: Service) -> list[str]:
    claim, problems = claim_of(of)
    assert claim is not None
    assert not problems
    return [endpoint.address for endpoint in claim.endpoints]


def refusal(of: Service) -> Problem:
    claim, (problem,) = claim_of(of)
    # Its hosts stay its own all the same.
    assert claim is not None
    assert (claim.served, claim.endpoints) == (False, ())
    assert problem.severity == "error"
    return problem


def both(name: str) -> Service:
    """On two networks, with an address on each."""
    one = task("t1", "10.0.1.5")
    two = task("t2", "10.0.2.5", network=OTHER.id)
    return service(name, one, two, networks=(NET, OTHER), hosts="a.com")


def with_network(of: Service, network: str, stack: str = "") -> Service:
    labels = {**of.labels, LB + "network": network}
    if stack:
        labels["com.docker.stack.namespace"] = stack
    return Service(id=of.id, name=of.name, created=of.created, labels=labels, networks=of.networks, tasks=of.tasks)


def test_the_only_network_besides_the_ingress_one() -> None:
    assert addresses(service("shop", task("t1"), networks=(INGRESS, NET), hosts="a.com")) == ["10.0.1.10"]


@pytest.mark.parametrize(
    ("network", "stack", "address"),
    [("web", "", "10.0.1.5"), ("shop_db", "", "10.0.2.5"), ("db", "shop", "10.0.2.5"), ("shop_db", "shop", "10.0.2.5")],
)
def test_the_network_that_the_label_names(network: str, stack: str, address: str) -> None:
    assert addresses(with_network(both("shop"), network, stack)) == [address]


def test_the_exact_name_wins_over_the_one_of_the_stack() -> None:
    short = Network(id="net9", name="db")
    mixed = service("s", task("t1", "10.9.9.9", network="net9"), networks=(OTHER, short), stack="shop", hosts="a.com")
    assert addresses(with_network(mixed, "db", "shop")) == ["10.9.9.9"]


def test_several_networks_and_no_label_is_never_a_guess() -> None:
    problem = refusal(both("shop"))
    assert problem.key == LB + "network"
    assert "(shop_db, web)" in problem.reason


@pytest.mark.parametrize("network", ["nosuch", "ingress"])
def test_a_network_that_the_service_is_not_on(network: str) -> None:
    problem = refusal(service("shop", task("t1"), networks=(INGRESS, NET), hosts="a.com", network=network))
    assert problem.value == network
    assert problem.remedy.endswith("web")


@pytest.mark.parametrize("networks", [(), (INGRESS,), (Network(id="b", name="bridge", driver="bridge"),)])
def test_no_network_that_proxies_can_join(networks: tuple[Network, ...]) -> None:
    problem = refusal(service("shop", task("t1"), networks=networks, hosts="a.com"))
    assert "overlay" in problem.remedy
    assert "--publish-add mode=host,target=8080" in problem.remedy


def test_a_label_that_names_a_network_is_no_wish_for_a_port_of_the_node() -> None:
    asked = ServicePort(target=8080, mode="host")
    problem = refusal(service("shop", task("t1"), networks=(), ports=(asked,), hosts="a.com", network="web"))
    assert (problem.key, problem.value) == (LB + "network", "web")
    assert f"remove {LB}network and" in problem.remedy


def test_which_tasks_are_endpoints() -> None:
    shop = service(
        "shop",
        task("a-wanted", "10.0.1.1"),
        task("b-starting", "10.0.1.2", state="starting"),
        task("c-draining", "10.0.1.3", desired="shutdown", draining_since=7.5),
        task("d-gone", "10.0.1.4", state="complete", desired="shutdown"),
        task("e-no-address", None),
        task("f-other-network", "10.0.2.1", network="net2"),
        task("g-node-down", "10.0.1.6", node_down=True),
        hosts="a.com",
        port="81",
    )
    claim, problems = claim_of(shop)
    assert claim is not None
    assert not problems
    common = {"port": 81, "service_id": "id-shop", "service": "shop", "network": "web"}
    assert claim.endpoints == (
        Endpoint(address="10.0.1.1", task="a-wanted", **common),
        Endpoint(address="10.0.1.3", task="c-draining", draining_since=7.5, **common),
    )


def test_age_reads_fractions_of_any_length() -> None:
    times = ["09:59:59.9Z", "10:00:00Z", "10:00:00.5Z", "10:00:00.51Z", "10:00:00.510000001Z", "10:00:01Z"]
    ages = [age_of(service("s", created=f"2024-05-01T{t}")) for t in times]
    assert ages == sorted(ages)
    assert len(set(ages)) == len(ages)


def test_a_claim_is_of_no_host_yet() -> None:
    claim, _ = claim_of(service("shop", task("t1"), hosts="a.com,b.com", ip_hash="true"))
    assert claim is not None
    assert claim.policy == Route(upstream="", ip_hash=True)
    # Of one that is not routed, the path is all that counts.
    claim, _ = claim_of(service("shop", hosts="a.com", context_root="/x", ip_hash="true", port="none"))
    assert claim is not None
    assert claim.policy == Route(path="/x", upstream="")
