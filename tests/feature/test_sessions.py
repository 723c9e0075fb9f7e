"""Who serves a client again: sticky cookies and client addresses."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline
from support.steps import asked

UPSTREAM = "x-upstream-addr"


def _tasks(pipeline: Pipeline, cookie: str, times: int = 20) -> set[str]:
    return {pipeline.get("demo.test", headers={"Cookie": cookie}).headers[UPSTREAM] for _ in range(times)}


def test_case_13_a_sticky_cookie(pipeline: Pipeline) -> None:
    """Case 13: the application sets it; replayed, it leads to the same task, and the proxy adds no Set-Cookie."""
    pipeline.service("demo", replicas=5, labels={"sticky_session_cookie": "session"})
    pipeline.sim.wait_converged("demo")
    pipeline.wait(lambda: len(asked(pipeline, "demo.test", 20, header=UPSTREAM)) == 5, "five tasks serve")
    first = pipeline.get("demo.test", "/?set_cookie=session=abc")
    assert first.headers["set-cookie"] == "session=abc"
    assert "set-cookie" not in pipeline.get("demo.test", headers={"Cookie": "session=abc"}).headers
    assert len(_tasks(pipeline, "session=abc")) == 1
    assert len({task for user in range(12) for task in _tasks(pipeline, f"session=user-{user}", 1)}) > 1
    # Whoever loses its task goes to another, and stays there.
    pipeline.sim.scale("demo", 2)
    pipeline.sim.wait_converged("demo")
    pipeline.wait(lambda: len(asked(pipeline, "demo.test", 12, header=UPSTREAM)) == 2, "two tasks serve")
    assert len(_tasks(pipeline, "session=abc")) == 1


def test_case_13_nothing_sticks_without_the_label(pipeline: Pipeline) -> None:
    pipeline.service("demo", replicas=3)
    pipeline.sim.wait_converged("demo")
    pipeline.wait_routed("demo.test")
    pipeline.wait(lambda: len(_tasks(pipeline, "session=abc", 12)) == 3, "all serve")
    pipeline.sim.set_labels("demo", {PREFIX + "sticky_session_cookie": "a b"})
    pipeline.wait(lambda: [p.code for p in pipeline.problems("demo")] == ["cookie-invalid"], "the owner is told")
    assert len(_tasks(pipeline, "session=abc", 12)) == 3


def test_case_14_ip_hash(pipeline: Pipeline) -> None:
    """Case 14, core: one client, one task."""
    pipeline.service("demo", replicas=5, labels={"ip_hash": "true"})
    pipeline.sim.wait_converged("demo")
    pipeline.wait_routed("demo.test")
    pipeline.wait(lambda: len(asked(pipeline, "demo.test", 20, header=UPSTREAM)) == 1, "one task serves")
    pipeline.sim.set_labels("demo", {PREFIX + "ip_hash": "no"})
    pipeline.wait(lambda: len(asked(pipeline, "demo.test", 20, header=UPSTREAM)) == 5, "all tasks serve")
    [problem] = pipeline.problems("demo")
    assert (problem.code, problem.severity) == ("flag-invalid", "warning")


def test_the_older_service_says_what_sticks(pipeline: Pipeline) -> None:
    pipeline.service("demo", replicas=2, labels={"sticky_session_cookie": "session"})
    pipeline.wait_routed("demo.test")
    pipeline.service("canary", replicas=1, labels={"hosts": "demo.test", "ip_hash": "true", "max_fails": "3"})
    pipeline.wait(lambda: pipeline.problems("canary") != (), "the younger one's owner is told")
    found = pipeline.problems("canary")
    assert {(p.code, p.key.removeprefix(PREFIX), p.concerned) for p in found} == {
        ("conflict", "sticky_session_cookie", ("demo",)),
        ("conflict", "ip_hash", ("demo",)),
    }
    pipeline.wait(lambda: len(asked(pipeline, "demo.test", 30, header="x-service")) == 2, "both serve")
    assert len(_tasks(pipeline, "session=abc")) == 1
