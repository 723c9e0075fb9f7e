"""backend_mode=vip: the service's virtual IP is the only endpoint, so tasks come and go without a change here."""

from __future__ import annotations

from support.pipeline import KINDS, PREFIX, Pipeline
from support.steps import asked, endpoints, host_files, settled, worker_counters


def _vip(pipeline: Pipeline, service: str) -> str:
    def found() -> list[str]:
        return [str(each["Addr"]) for each in pipeline.sim.service(service)["Endpoint"].get("VirtualIPs", [])]

    # Given a moment after the creation.
    pipeline.wait(lambda: len(found()) == 1, f"{service} has its virtual IP")
    return found()[0].partition("/")[0]


def test_case_21_the_virtual_ip_is_the_only_endpoint_and_tasks_change_nothing(pipeline: Pipeline) -> None:
    """Case 21, core: replica change, new image, new variables and a crash leave the proxy's files as they are."""
    pipeline.service("demo", replicas=4, labels={"backend_mode": "vip"})
    pipeline.wait_routed("demo.test")
    pipeline.sim.wait_converged("demo")
    assert asked(pipeline, "demo.test", 12, header="x-upstream-addr") == {f"{_vip(pipeline, 'demo')}:8080": 12}
    # The virtual IP shares out connections, not requests; the proxy keeps one.
    assert len(asked(pipeline, "demo.test", 12, path="/?close=1")) == 4
    files, counters = host_files(pipeline), worker_counters(pipeline)
    version = pipeline.status().clusters[0].version
    pipeline.sim.scale("demo", 2)
    pipeline.sim.wait_converged("demo")
    pipeline.sim.update("demo", image="demo/app:2", env={"APP_VERSION": "2"})
    pipeline.sim.wait_converged("demo")
    (dead,) = pipeline.sim.crash("demo")
    pipeline.wait(lambda: dead not in {t["ID"] for t in pipeline.sim.wait_converged("demo")}, "the crash is seen")
    pipeline.wait(lambda: settled(pipeline), "settled")
    assert set(asked(pipeline, "demo.test", 8, path="/?close=1", header="x-version")) == {"2"}
    assert (host_files(pipeline), worker_counters(pipeline)) == (files, counters)
    plan = pipeline.status().clusters[0].version
    assert version is not None
    assert plan is not None
    assert plan.generation == version.generation


def test_case_21_canary_of_two_vip_services_is_half_and_half(pipeline: Pipeline) -> None:
    """Case 21: 4 and 1 tasks behind two virtual IPs share 50/50; removing one service reconfigures."""
    pipeline.service("v1", replicas=4, labels={"hosts": "demo.local", "backend_mode": "vip"})
    pipeline.service("v2", replicas=1, labels={"hosts": "demo.local", "backend_mode": "vip"})
    both = {f"{_vip(pipeline, name)}:8080" for name in ("v1", "v2")}
    pipeline.wait(lambda: set(asked(pipeline, "demo.local", 4, header="x-upstream-addr")) == both, "both serve")
    assert asked(pipeline, "demo.local", 20, header="x-service")["v2"] in range(7, 14)
    pipeline.sim.remove("v1")
    pipeline.wait(lambda: set(asked(pipeline, "demo.local", 4, header="x-service")) == {"v2"}, "only v2 serves")


def test_case_22_vip_and_task_services_side_by_side(pipeline: Pipeline) -> None:
    """Case 22, also on one host."""
    pipeline.service("tasks", replicas=2, labels={"hosts": "demo.local"})
    pipeline.service("vip", replicas=2, labels={"hosts": "demo.local", "backend_mode": "vip"})
    pipeline.wait_routed("demo.local")
    tasks = pipeline.sim.wait_converged("tasks")
    pipeline.sim.wait_converged("vip")
    addresses = [task["NetworksAttachments"][0]["Addresses"][0].partition("/")[0] for task in tasks]
    wanted = {f"{address}:8080" for address in (*addresses, _vip(pipeline, "vip"))}
    pipeline.wait(lambda: set(asked(pipeline, "demo.local", 6, header="x-upstream-addr")) == wanted, "all three serve")


def test_no_task_running_is_503(pipeline: Pipeline) -> None:
    """Before the first task runs, while none is wanted, and again afterwards; no problem, and nothing waited for."""
    pipeline.service("demo", labels={"backend_mode": "vip"}, constraints=["node.labels.zone==none"])
    pipeline.wait(lambda: [r.host for r in pipeline.routes()] == ["demo.test"], "the host is planned")
    _vip(pipeline, "demo")
    pipeline.wait(lambda: settled(pipeline), "settled")
    assert asked(pipeline, "demo.test", 3) == {"503": 3}
    [cluster] = pipeline.status().clusters
    assert (cluster.problems, [p.outcome.waiting for p in cluster.proxies]) == ((), [0] * len(KINDS))
    pipeline.sim.change("demo", lambda spec: spec["TaskTemplate"].update(Placement={}))
    pipeline.wait_routed("demo.test")
    assert endpoints(pipeline, "demo.test") == {"vip"}
    pipeline.sim.scale("demo", 0)
    pipeline.wait_unrouted("demo.test")
    pipeline.sim.wait_converged("demo")
    assert asked(pipeline, "demo.test", 3) == {"503": 3}
    pipeline.sim.scale("demo", 1)
    pipeline.wait_routed("demo.test")


def test_the_other_service_of_the_host_takes_over_from_one_whose_last_task_drains(pipeline: Pipeline) -> None:
    for name in ("v1", "v2"):
        pipeline.service(name, replicas=2, labels={"hosts": "demo.local", "backend_mode": "vip"})
    both = {f"{_vip(pipeline, name)}:8080" for name in ("v1", "v2")}
    pipeline.wait(lambda: set(asked(pipeline, "demo.local", 4, header="x-upstream-addr")) == both, "both serve")
    pipeline.sim.scale("v1", 0)
    pipeline.wait(lambda: set(asked(pipeline, "demo.local", 4, header="x-service")) == {"v2"}, "only v2 serves")
    drained = pipeline.wait(
        lambda: (o := pipeline.outcome()) and [d for d in o.drains if d.service == "v1"], "the drain is told"
    )
    assert {drain.task for drain in drained} == {"vip"}


def test_a_service_in_mode_dnsrr_is_a_problem_until_it_has_a_virtual_ip(pipeline: Pipeline) -> None:
    pipeline.service("good", labels={"backend_mode": "vip"})
    pipeline.service("demo", labels={"backend_mode": "vip"}, endpoint_mode="dnsrr")
    pipeline.wait_routed("good.test")
    problems = pipeline.wait(lambda: pipeline.status().clusters[0].problems, "the problem is told")
    assert [(p.service, p.key, p.value) for p in problems] == [("demo", PREFIX + "backend_mode", "vip")]
    assert "--endpoint-mode vip demo" in problems[0].remedy
    assert asked(pipeline, "demo.test", 2) == {"503": 2}
    # What the remedy says.
    pipeline.sim.change("demo", lambda spec: spec["EndpointSpec"].update(Mode="vip"))
    pipeline.wait_routed("demo.test")
    assert not pipeline.status().clusters[0].problems
