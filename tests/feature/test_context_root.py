"""Context roots: which part of a host a service answers for."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline


def test_case_9_a_context_root_takes_its_path_and_no_other(pipeline: Pipeline) -> None:
    """Case 9; and whole segments are compared: /apple is not below /app."""
    pipeline.service("demo", labels={"context_root": "/app"})
    assert pipeline.wait_routed("demo.test", "/app/x?y=1").json()["path"] == "/app/x"
    assert pipeline.get("demo.test", "/app").json()["path"] == "/app"
    assert pipeline.get("demo.test", "/app/").json()["path"] == "/app/"
    for path in ("/other", "/", "/apple", "/ap", "/App/x"):
        answer = pipeline.get("demo.test", path)
        assert (answer.status, answer.task) == (404, None), path


def test_case_10_a_rewritten_context_root_is_taken_off(pipeline: Pipeline) -> None:
    """Case 10: /app/ reaches the app as /, the bare /app is redirected, and nothing below it is."""
    pipeline.service("demo", labels={"context_root": "/app", "context_root_rewrite": "true"})
    assert pipeline.wait_routed("demo.test", "/app/").json()["path"] == "/"
    assert pipeline.get("demo.test", "/app/api/users").json()["path"] == "/api/users"
    bare = pipeline.get("demo.test", "/app?next=1")
    assert bare.status == 301
    assert bare.headers["location"] == "/app/?next=1"
    posted = pipeline.get("demo.test", "/app/api/users", method="POST", body=b"x" * 100)
    assert (posted.status, posted.json()["method"], posted.json()["path"]) == (200, "POST", "/api/users")
    assert posted.json()["body_bytes"] == 100


def test_several_context_roots_of_one_host_have_services_of_their_own(pipeline: Pipeline) -> None:
    pipeline.service("site", labels={"hosts": "shop.test"})
    pipeline.service("api", labels={"hosts": "shop.test", "context_root": "/api"})
    pipeline.service("v2", labels={"hosts": "shop.test", "context_root": "/api/v2", "context_root_rewrite": "true"})
    pipeline.wait_effective("site", "api", "v2")
    seen = {path: pipeline.get("shop.test", path) for path in ("/", "/x", "/apix", "/api", "/api/v1", "/api/v2/x")}
    assert {path: answer.headers["x-service"] for path, answer in seen.items()} == {
        "/": "site", "/x": "site", "/apix": "site", "/api": "api", "/api/v1": "api", "/api/v2/x": "v2",
    }  # fmt: skip
    assert seen["/api/v2/x"].json()["path"] == "/x"
    pipeline.sim.remove("api")
    pipeline.wait(lambda: pipeline.get("shop.test", "/api/v1").headers.get("x-service") == "site", "the site takes it")
    assert pipeline.get("shop.test", "/api/v2/x").headers["x-service"] == "v2"


def test_a_context_root_can_change(pipeline: Pipeline) -> None:
    pipeline.service("demo", labels={"context_root": "/old"})
    pipeline.wait_routed("demo.test", "/old")
    pipeline.sim.set_labels("demo", {PREFIX + "context_root": "/new"})
    pipeline.wait_routed("demo.test", "/new")
    assert pipeline.get("demo.test", "/old").status == 404


def test_a_path_without_endpoints_leaves_the_rest_of_its_host_alone(pipeline: Pipeline) -> None:
    pipeline.service("site", labels={"hosts": "shop.test"})
    pipeline.service("api", labels={"hosts": "shop.test", "context_root": "/api"})
    pipeline.wait_effective("site", "api")
    pipeline.sim.scale("api", 0)
    pipeline.wait(lambda: pipeline.get("shop.test", "/api/x").status == 503, "the empty path answers 503")
    assert pipeline.get("shop.test", "/").headers["x-service"] == "site"
