"""What operators see of it in numbers: from Docker's word to every proxy, nginx and HAProxy at once."""

from __future__ import annotations

import time

from support.pipeline import Pipeline
from support.steps import change_to_effective


def test_each_change_is_counted_when_every_proxy_has_it(installation: Pipeline) -> None:
    pipeline = installation
    try:
        pipeline.service("timed", replicas=1)
        pipeline.wait_routed("timed.test")
        pipeline.wait_effective("timed")
        before, seconds = change_to_effective(pipeline)
        began = time.time()
        pipeline.sim.scale("timed", 3)
        pipeline.wait_effective("timed")
        pipeline.wait(lambda: change_to_effective(pipeline)[0] > before, "the new tasks are counted")
        ended = time.time()
        number, later = change_to_effective(pipeline)
        assert 0 < later - seconds < (number - before) * (ended - began)
    finally:
        pipeline.sim.reset()
