"""A user's mistake is a value: it is named with its remedy, and no neighbour notices."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline
from support.steps import host_files, interlock_json, worker_counters

MISTAKES = {
    "no-port": ({"port": ""}, "port"),
    "word-port": ({"port": "http"}, "port"),
    "far-port": ({"port": "70000"}, "port"),
    "scheme": ({"hosts": "https://scheme.test/"}, "hosts"),
    "escape": ({"hosts": "a.test;} server { listen 1;"}, "hosts"),
    "relative": ({"context_root": "app"}, "context_root"),
    "breakout": ({"context_root": '/a" { return 200; }'}, "context_root"),
    "mode": ({"backend_mode": "both"}, "backend_mode"),
}
"""Service → its wrong label and the key that its problem must name."""


def test_bad_labels_are_told_and_neighbours_are_untouched(pipeline: Pipeline) -> None:
    pipeline.service("good", replicas=2)
    pipeline.wait_effective("good")
    files, counters = host_files(pipeline), worker_counters(pipeline)
    for name, (labels, _) in MISTAKES.items():
        pipeline.service(name, labels=labels)

    def told() -> bool:
        return {p.service for c in pipeline.status().clusters for p in c.problems} >= MISTAKES.keys()

    pipeline.wait(told, lambda: f"every mistake is told: {pipeline.status().clusters[0].problems}")
    (cluster,) = interlock_json(pipeline, "status")["clusters"]
    problems = {(p["service"], p["key"]): p for p in cluster["problems"] if p["severity"] == "error"}
    for name, (labels, key) in MISTAKES.items():
        problem = problems[name, PREFIX + key]
        assert problem["reason"]
        assert problem["remedy"]
        assert problem["value"] in labels[key]
    assert {route["host"] for route in interlock_json(pipeline, "routes")} == {"good.test"}
    assert pipeline.get("good.test").status == 200
    # Not one host was rendered and not one file written: what cannot be routed does not reach the proxy.
    assert (host_files(pipeline), worker_counters(pipeline)) == (files, counters)


def test_a_repaired_label_is_routed_and_its_problem_goes(pipeline: Pipeline) -> None:
    pipeline.service("shop", labels={"port": "http"})
    pipeline.wait(lambda: pipeline.status().clusters[0].problems, "the problem is told")
    pipeline.sim.set_labels("shop", {PREFIX + "port": "8080"})
    pipeline.wait_routed("shop.test")
    assert pipeline.status().clusters[0].problems == ()


def test_a_label_that_breaks_withdraws_only_its_own_host(pipeline: Pipeline) -> None:
    pipeline.service("shop")
    pipeline.service("blog")
    pipeline.wait_effective("shop", "blog")
    blog = host_files(pipeline)["blog.test"]
    pipeline.sim.set_labels("shop", {PREFIX + "port": "http"})
    pipeline.wait_unrouted("shop.test")
    assert pipeline.get("blog.test").status == 200
    assert host_files(pipeline)["blog.test"] == blog


def test_of_several_hosts_the_good_ones_are_served(pipeline: Pipeline) -> None:
    pipeline.service("shop", labels={"hosts": "good.test,ba d.test,-bad.test", "prot": "8080", "ssl_cert": "c"})
    assert pipeline.wait_routed("good.test").headers["x-service"] == "shop"
    problems = pipeline.status().clusters[0].problems
    assert {p.value for p in problems if p.key == PREFIX + "hosts"} == {"ba d.test", "-bad.test"}
    assert {p.key for p in problems if p.severity == "warning"} == {PREFIX + "prot", PREFIX + "ssl_cert"}
    assert any("com.docker.lb.port" in p.remedy for p in problems if p.key == PREFIX + "prot")
