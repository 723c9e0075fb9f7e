"""Nodes: `unknown` is not `down`."""

from __future__ import annotations

from support.pipeline import Pipeline
from support.steps import asked, endpoints


def test_nodes_unknown_for_seconds_withdraw_nothing(pipeline: Pipeline) -> None:
    """As at a change of leader. What changes meanwhile is still followed, and `status` tells that it may be stale."""
    pipeline.service("shop", replicas=3)
    pipeline.wait_effective("shop")
    tasks = endpoints(pipeline, "shop.test")
    with pipeline.load(["shop.test"], rate=60) as load:
        # A change of leader takes seconds; here it ends when we have seen what we came for. Meanwhile Swarm places no
        # task, but takes updates.
        pipeline.sim.nodes_unknown(60.0)

        def told(what: bool) -> bool:
            assert endpoints(pipeline, "shop.test") >= tasks, "an endpoint was withdrawn"
            watcher = pipeline.status().regions[0].watcher
            return watcher is not None and ("node" in watcher.reason) is what

        pipeline.wait(lambda: told(True), "it is told that no node's state is known")
        labels = {"com.docker.lb.hosts": "shop.test,www.shop.test", "com.docker.lb.port": "8080"}
        pipeline.sim.set_labels("shop", labels)
        pipeline.wait(lambda: told(True) and endpoints(pipeline, "www.shop.test") == tasks, "a new host is followed")
        pipeline.sim.nodes_unknown(0.0)
        pipeline.wait(lambda: told(False), "it heals")
    assert load.report().failed == 0, load.report().failures[:5]


def test_the_tasks_of_a_node_that_is_down_leave(pipeline: Pipeline) -> None:
    pipeline.service("shop", replicas=3)
    pipeline.wait_effective("shop")
    by_node: dict[str, set[str]] = {}
    for task in pipeline.sim.wait_converged("shop"):
        by_node.setdefault(task["NodeID"], set()).add(task["ID"])
    managers = {n["ID"] for n in pipeline.sim.call("GET", "/nodes") if n["Spec"]["Role"] == "manager"}
    node, lost = next((node, tasks) for node, tasks in by_node.items() if node not in managers)
    pipeline.sim.node_state(node, "down")
    pipeline.wait(lambda: not endpoints(pipeline, "shop.test") & lost, "its tasks have left the plan")
    pipeline.wait(lambda: len(endpoints(pipeline, "shop.test")) == 3, "others have taken their place")
    pipeline.wait(lambda: not any(p.outcome.waiting or p.behind for p in pipeline.status().clusters[0].proxies), "done")
    pipeline.wait(lambda: set(asked(pipeline, "shop.test", 12)) == endpoints(pipeline, "shop.test"), "each one answers")
    assert not lost & asked(pipeline, "shop.test", 12).keys()
