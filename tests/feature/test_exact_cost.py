"""Cost follows the change, not the size: counters of planner and worker, exact to the file."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline
from support.steps import host_files, planner_counters, settled, worker_counters

SERVICES = 30


def test_one_changed_service_costs_one_service_and_its_hosts(pipeline: Pipeline) -> None:
    labels = {PREFIX + "hosts": "bulk-{n}.test,alias-{n}.test", PREFIX + "port": "8080"}
    spec = {
        "Labels": labels,
        "TaskTemplate": {"ContainerSpec": {"Image": "demo/app:1"}, "Networks": [{"Target": "web"}]},
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "vip"},
    }
    pipeline.sim.bulk("bulk", SERVICES, spec)
    names = [f"bulk-{n}" for n in range(SERVICES)]
    pipeline.wait_effective(*names)
    pipeline.wait(lambda: settled(pipeline), "settled")
    plan, proxy, files = planner_counters(pipeline), worker_counters(pipeline), host_files(pipeline)

    pipeline.sim.set_labels("bulk-7", {PREFIX + "hosts": "bulk-7.test,alias-7.test,more-7.test"})
    pipeline.wait_routed("more-7.test")
    pipeline.wait(lambda: settled(pipeline), "settled")
    planned, applied = planner_counters(pipeline) - plan, worker_counters(pipeline) - proxy
    assert (planned["services_parsed"], planned["deltas_published"]) == (1, 1)
    assert planned["hosts_planned"] == 3
    assert planned["whole_plans_published"] == 0
    assert 0 < planned["sent_bytes"] < 4096
    # Two of its three hosts plan to what they were: only the new one reaches the proxy.
    assert (applied["hosts_rendered"], applied["files_written"]) == (1, 1)
    now = host_files(pipeline)
    assert {name for name, file in now.items() if files.get(name) != file} == {"more-7.test"}

    plan, proxy, files = planner_counters(pipeline), worker_counters(pipeline), now
    pipeline.sim.set_labels("bulk-7", {PREFIX + "context_root": "/app"})
    pipeline.wait(lambda: pipeline.get("more-7.test", "/").status == 404, "it answers below /app only")
    pipeline.wait(lambda: settled(pipeline), "settled")
    planned, applied = planner_counters(pipeline) - plan, worker_counters(pipeline) - proxy
    assert (planned["services_parsed"], planned["hosts_planned"]) == (1, 3)
    assert (applied["hosts_rendered"], applied["files_written"]) == (3, 3)
    now = host_files(pipeline)
    assert {n for n, file in now.items() if files[n] != file} == {"bulk-7.test", "alias-7.test", "more-7.test"}

    # What has no meaning for routing costs nothing at all.
    plan, proxy = planner_counters(pipeline), worker_counters(pipeline)
    pipeline.sim.set_labels("bulk-7", {"team": "blue"})
    pipeline.sim.set_labels("bulk-8", {PREFIX + "context_root": "/app"})
    pipeline.wait(lambda: pipeline.get("bulk-8.test", "/").status == 404, "it answers below /app only")
    pipeline.wait(lambda: settled(pipeline), "settled")
    assert (planner_counters(pipeline) - plan)["services_parsed"] == 1
    assert (worker_counters(pipeline) - proxy)["files_written"] == 2
