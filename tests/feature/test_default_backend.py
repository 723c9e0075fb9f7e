"""The service that answers every host which nobody names."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline


def test_case_4_a_default_backend_answers_unknown_hosts_until_it_is_removed(pipeline: Pipeline) -> None:
    """Case 4: any unknown host gets 200 from it, configured hosts are unaffected, after its removal 503 again."""
    pipeline.service("shop")
    pipeline.wait_routed("shop.test")
    pipeline.sim.create_service(
        "catch-all", labels={PREFIX + "default_backend": "true", PREFIX + "port": "8080"}, networks=["web"]
    )
    for host in ("nobody.test", "other.example", "127.0.0.1"):
        answer = pipeline.wait_routed(host, "/some/path")
        assert (answer.status, answer.headers["x-service"]) == (200, "catch-all")
    assert pipeline.get("shop.test").headers["x-service"] == "shop"
    pipeline.sim.remove("catch-all")
    pipeline.wait_unrouted("nobody.test")
    assert pipeline.get("shop.test").headers["x-service"] == "shop"


def test_a_default_backend_may_name_hosts_too(pipeline: Pipeline) -> None:
    pipeline.service("both", labels={"default_backend": "true"})
    assert pipeline.wait_routed("both.test").headers["x-service"] == "both"
    assert pipeline.wait_routed("nobody.test").headers["x-service"] == "both"
    pipeline.sim.set_labels("both", {PREFIX + "default_backend": None})
    pipeline.wait_unrouted("nobody.test")
    assert pipeline.get("both.test").headers["x-service"] == "both"


def test_a_claimed_host_without_tasks_is_nobody_elses(pipeline: Pipeline) -> None:
    """Neither the default backend nor a wildcard answers for it: its visitors are not theirs."""
    pipeline.service("both", labels={"hosts": "*.apps.test", "default_backend": "true"})
    pipeline.service("shop")
    pipeline.service("pay", labels={"hosts": "pay.apps.test"})
    for host in ("nobody.test", "shop.test", "pay.apps.test"):
        pipeline.wait_routed(host)
    pipeline.sim.scale("shop", 0)
    pipeline.sim.scale("pay", 0)
    pipeline.wait_unrouted("shop.test")
    pipeline.wait_unrouted("pay.apps.test")
    pipeline.service("late", env={"SIM_START_DELAY": "3"})
    pipeline.wait(lambda: pipeline.get("late.test").task is None, "its host is claimed before it listens")
    assert pipeline.get("late.test").status == 503
    assert pipeline.wait_routed("late.test").headers["x-service"] == "late"
    assert pipeline.get("other.apps.test").headers["x-service"] == "both"
