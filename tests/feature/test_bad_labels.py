"""A user's mistake is a value: it is named with its remedy, and no neighbour notices."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline
from support.steps import host_files, interlock_json

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
    files = host_files(pipeline)
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
    # Whoever names a host that can be one keeps it, and nothing is served there; the others have none.
    routes = {route["host"]: route["endpoints"] for route in interlock_json(pipeline, "routes")}
    assert [host for host, endpoints in routes.items() if endpoints] == ["good.test"]
    claimed = {f"{name}.test" for name, (labels, _) in MISTAKES.items() if "hosts" not in labels}
    assert routes.keys() == claimed | {"good.test"}
    assert pipeline.get("good.test").status == 200
    pipeline.wait(lambda: pipeline.outcome().hosts == len(routes), "the claimed hosts are the proxy's too")  # type: ignore[union-attr]
    assert {pipeline.get(host).status for host in claimed} == {503}
    # The neighbour's file is the one that it was.
    assert host_files(pipeline)["good.test"] == files["good.test"]


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


def test_a_default_backend_does_not_answer_in_the_place_of_a_service_with_a_mistake(pipeline: Pipeline) -> None:
    pipeline.service("rest", labels={"hosts": "", "default_backend": "true"})
    pipeline.service("shop")
    pipeline.wait_effective("shop")
    pipeline.wait_routed("nobody.test")
    pipeline.sim.set_labels("shop", {PREFIX + "port": "0"})
    pipeline.wait_unrouted("shop.test")
    assert pipeline.get("shop.test").task is None
    assert pipeline.get("nobody.test").headers["x-service"] == "rest"


def test_a_neighbour_does_not_answer_for_a_path_whose_service_has_a_mistake(pipeline: Pipeline) -> None:
    pipeline.service("site", labels={"hosts": "shop.test"})
    pipeline.service("api", labels={"hosts": "shop.test", "context_root": "/api"})
    pipeline.wait_effective("site", "api")
    assert pipeline.get("shop.test", "/api/x").headers["x-service"] == "api"
    pipeline.sim.set_labels("api", {PREFIX + "port": "http"})
    pipeline.wait(lambda: pipeline.get("shop.test", "/api/x").status == 503, "its path answers 503")
    assert pipeline.get("shop.test", "/x").headers["x-service"] == "site"
