"""Redirects: hosts that only send clients elsewhere."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline

PAIR = "http://old.test,http://new.test"


def test_case_11_a_redirected_host(pipeline: Pipeline) -> None:
    """Case 11: 302 with path and query kept, the first three info headers; the target serves."""
    pipeline.service("shop", labels={"hosts": "old.test,new.test", "redirects": PAIR})
    pipeline.wait_routed("new.test")
    answer = pipeline.get("old.test", "/a/b?c=d")
    assert (answer.status, answer.headers["location"]) == (302, "http://new.test/a/b?c=d")
    assert {"x-request-id", "x-proxy-id", "x-server-info"} <= answer.headers.keys()
    assert not {"x-upstream-addr", "x-task"} & answer.headers.keys()
    assert pipeline.get("new.test", "/a/b?c=d").json()["path"] == "/a/b"


def test_case_11_a_trailing_semicolon_and_two_pairs(pipeline: Pipeline) -> None:
    pipeline.service(
        "shop",
        labels={"hosts": "old.test,older.test,new.test", "redirects": f"{PAIR}; http://older.test , {PAIR[7:15]};"},
    )
    # The second pair has no scheme: it is a problem, and the first works all the same.
    pipeline.wait_routed("new.test")
    assert pipeline.get("old.test").status == 302
    [problem] = pipeline.problems("shop")
    assert problem.code == "redirect-invalid"
    pipeline.sim.set_labels("shop", {PREFIX + "redirects": f"{PAIR}; http://older.test , https://new.test:8443 ;"})
    pipeline.wait(lambda: pipeline.get("older.test").status == 302, "the second pair works")
    # One that answers so says nothing of the next, during a reload.
    pipeline.wait_effective("shop")
    assert pipeline.get("older.test", "/x").headers["location"] == "https://new.test:8443/x"
    assert pipeline.get("old.test", "/x").headers["location"] == "http://new.test/x"
    assert pipeline.problems("shop") == ()


def test_a_redirect_ends_with_its_label(pipeline: Pipeline) -> None:
    pipeline.service("shop", labels={"hosts": "old.test,new.test", "redirects": PAIR})
    pipeline.wait(lambda: pipeline.get("old.test").status == 302, "the redirect works")
    pipeline.sim.set_labels("shop", {PREFIX + "redirects": ""})
    pipeline.wait_routed("old.test")


def test_the_older_service_says_whether_a_host_is_redirected(pipeline: Pipeline) -> None:
    pipeline.service("old", labels={"hosts": "old.test"})
    pipeline.wait_routed("old.test")
    pipeline.service("young", labels={"hosts": "old.test,new.test", "redirects": PAIR})
    pipeline.wait_routed("new.test")
    pipeline.wait_routed("old.test")
    [problem] = pipeline.problems("young")
    assert (problem.code, problem.severity, problem.concerned) == ("conflict", "warning", ("old",))
    assert problem.key == PREFIX + "redirects"
    pipeline.sim.remove("old")
    pipeline.wait(lambda: pipeline.get("old.test").status == 302, "the redirect works")
    pipeline.wait(lambda: pipeline.problems("young") == (), "nobody is in its way")
