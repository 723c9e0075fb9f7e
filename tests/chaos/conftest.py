"""The installation that is maltreated: real delays, two services, and what every one of these tests asks of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from support.pipeline import PREFIX, Pipeline

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Pipeline(tmp_path_factory.mktemp("chaos"), profile="real") as pipeline:
        prepare(pipeline)
        yield pipeline


def prepare(pipeline: Pipeline) -> None:
    """Two services of two tasks; the monitor period of an update is not what this is about."""
    for name in ("shop", "blog"):
        pipeline.service(name, replicas=2, update_config={"Monitor": 100_000_000, "Parallelism": 1})
    pipeline.wait_effective("shop", "blog")


@pytest.fixture
def follows() -> Callable[[Pipeline], None]:
    """Asserts that a pipeline runs what the Swarm has, and that a fresh change gets effective."""

    def check(pipeline: Pipeline) -> None:
        pipeline.wait_effective("shop", "blog", timeout=60)
        host = f"fresh-{next(_numbers)}.test"
        pipeline.sim.set_labels("blog", {PREFIX + "hosts": f"blog.test,{host}"})
        pipeline.wait_routed(host)
        pipeline.wait_effective("shop", "blog", timeout=60)
        assert {route.host for route in pipeline.routes()} == {"shop.test", "blog.test", host}
        assert pipeline.get("nobody.test").status == 503

    return check
