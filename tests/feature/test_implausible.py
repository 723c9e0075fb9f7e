"""What Docker says that cannot be believed costs no request; what it insists on is believed in a documented time."""

from __future__ import annotations

import time

from interlock.model.region import WatcherStatus
from support.pipeline import Pipeline

NAMES = ("shop", "blog", "wiki", "mail")
HOSTS = [f"{name}.test" for name in NAMES]
POLL_INTERVAL = 3.0
"""Seconds; the watcher's default."""


def told(pipeline: Pipeline) -> WatcherStatus:
    (region,) = pipeline.status().regions
    assert region.watcher
    return region.watcher


def counted(pipeline: Pipeline, what: str) -> float:
    return told(pipeline).counters.get(what, 0.0)


def test_one_listing_that_lost_most_services_costs_no_request(pipeline: Pipeline) -> None:
    """The direct looks say the same as the listing; then Docker answers as it should."""
    for name in NAMES:
        pipeline.service(name, replicas=2)
    pipeline.wait_effective(*NAMES)
    before = pipeline.status().clusters[0].version
    raised, refuted = counted(pipeline, "doubts_raised"), counted(pipeline, "doubts_refuted")
    with pipeline.load(HOSTS, rate=100) as load:
        pipeline.sim.fault("lose", path="/services/.+")
        pipeline.sim.fault("lose", path="/services", service="shop", count=1)
        pipeline.wait(lambda: counted(pipeline, "doubts_raised") > raised, "it is told")
        pipeline.wait(lambda: counted(pipeline, "doubts_refuted") > refuted, "it is over")
        pipeline.sim.clear()
        pipeline.sim.fault("lose", path="/tasks", count=1)
        pipeline.wait(lambda: counted(pipeline, "doubts_refuted") > refuted + 1, "and all tasks lost")
    assert load.report().failed == 0
    assert told(pipeline).held_since is None
    assert pipeline.status().clusters[0].version == before, "nothing was withdrawn, not even for a moment"


def test_while_docker_is_doubted_status_says_so_and_a_second_reading_is_believed(pipeline: Pipeline) -> None:
    """Most services are lost for good, and no event has said so: gone half a second later than one would be."""
    for name in NAMES:
        pipeline.service(name)
    pipeline.wait_effective(*NAMES)
    confirmed = counted(pipeline, "doubts_confirmed")
    pipeline.sim.fault("lose", path="/(services|tasks)(/.*)?", service="shop")
    began = time.monotonic()
    status = pipeline.wait(lambda: (said := told(pipeline)).held_since is not None and said, "it is held back")
    assert "3 of 4 services are missing at once" in status.held
    pipeline.wait(lambda: {route.host for route in pipeline.routes()} == {"shop.test"}, "the others are withdrawn")
    took = time.monotonic() - began
    assert counted(pipeline, "doubts_confirmed") == confirmed + 1
    # The next listing, half a second, one more, and what a busy machine adds.
    assert took < POLL_INTERVAL + 0.5 + 2.0
    pipeline.wait_unrouted("blog.test")
    assert pipeline.get("shop.test").status == 200
    pipeline.sim.clear()
    for host in HOSTS:
        pipeline.wait_routed(host)


def test_a_whole_stack_that_is_removed_is_gone_at_once(pipeline: Pipeline) -> None:
    for name in NAMES:
        pipeline.service(name)
    pipeline.wait_effective(*NAMES)
    for name in NAMES:
        pipeline.sim.remove(name)
    began = time.monotonic()
    pipeline.wait(lambda: not pipeline.routes(), "nothing is routed")
    assert time.monotonic() - began < 1.5, "events told of it, so that no second reading is waited for"
