"""Swarm gives an address to another service's task soon after it was let go: no request may reach the wrong one."""

from __future__ import annotations

import ipaddress

from support.pipeline import Pipeline
from support.steps import figures

ROUNDS = 4


def test_a_reused_address_never_gets_the_former_tenants_requests(pipeline: Pipeline) -> None:
    web = pipeline.sim.call("GET", "/networks/web")["IPAM"]["Config"][0]["Subnet"]
    pool = ipaddress.IPv4Network(web).supernet(new_prefix=16)
    # Five addresses for two services: whoever grows takes what the other has just let go.
    # The simulated Swarm keeps its networks, so each proxy has one of its own.
    narrow = f"narrow-{pipeline.kind}"
    pipeline.sim.create_network(narrow, subnet=f"{pool.network_address + (200 + pipeline.worker) * 256}/29")
    for name in ("red", "blue"):
        pipeline.service(name, networks=[narrow], endpoint_mode="dnsrr")
    pipeline.wait_effective("red", "blue")
    with pipeline.load(["red.test", "blue.test"], rate=80) as load:
        for number in range(ROUNDS):
            grows, shrinks = ("red", "blue") if number % 2 else ("blue", "red")
            pipeline.sim.scale(shrinks, 1)
            pipeline.sim.scale(grows, 4)
            pipeline.wait_effective("red", "blue")
    report = load.report()
    truths = pipeline.sim.tasks()
    owner = {truth["task_id"]: truth["service"] for truth in truths}
    for key in report.answers:
        host, _, task = key.partition(" ")
        assert owner[task] == host.removesuffix(".test"), f"{host} was answered by a task of {owner[task]}"
    addresses = {name: {t["address"] for t in truths if t["service"] == name} for name in ("red", "blue")}
    print(figures(f"{ROUNDS} times to and fro in a /29", report))
    assert addresses["red"] & addresses["blue"], "no address was used again"
    assert report.failed == 0, report.failures[:5]
