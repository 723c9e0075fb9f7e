"""Services that go, and come again under the same name."""

from __future__ import annotations

from support.pipeline import PREFIX, Pipeline
from support.steps import host_files


def test_a_removed_service_is_gone_and_one_of_the_same_name_is_another(pipeline: Pipeline) -> None:
    first = pipeline.service("shop")
    old = pipeline.wait_routed("shop.test").task
    pipeline.sim.remove("shop")
    pipeline.wait_unrouted("shop.test")
    assert "shop.test" not in host_files(pipeline)
    second = pipeline.service("shop")
    new = pipeline.wait_routed("shop.test").task
    assert first != second
    assert new not in {None, old}
    assert {e.service_id for route in pipeline.routes() for e in route.endpoints} == {second}


def test_removed_and_created_again_at_once(pipeline: Pipeline) -> None:
    for number in range(3):
        last = pipeline.service("shop", replicas=2, env={"APP_VERSION": str(number)})
        if number < 2:
            pipeline.sim.remove("shop")
    pipeline.wait_effective("shop")
    assert {pipeline.get("shop.test").headers["x-version"] for _ in range(4)} == {"2"}
    assert {e.service_id for route in pipeline.routes() for e in route.endpoints} == {last}


def test_a_service_without_our_labels_is_none_of_our_business(pipeline: Pipeline) -> None:
    pipeline.service("shop")
    pipeline.wait_routed("shop.test")
    before = pipeline.status().clusters[0].version
    pipeline.sim.create_service("other", labels={"traefik.enable": "true"}, networks=["web"])
    pipeline.sim.wait_converged("other")
    pipeline.sim.set_labels("shop", {PREFIX + "hosts": None, PREFIX + "port": None})
    pipeline.wait_unrouted("shop.test")
    after = pipeline.status().clusters[0]
    assert after.services == 0
    assert before is not None
    assert after.version is not None
    # One change: the shop's.
    assert after.version.seq == before.seq + 1
