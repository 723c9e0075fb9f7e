"""One installation for all tests that only route; whoever kills, or needs another shape, starts one of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from support.pipeline import KINDS, Pipeline
from support.steps import settled, with_planner_metrics

_LONGEST_LOG = 8_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the programs have logged since its start."""
    report = yield
    shared = getattr(item, "shared_pipeline", None)
    if report.failed and shared is not None:
        pipeline, marks = shared
        for path in sorted((pipeline.folder / "logs").glob("*.log")):
            said = path.read_text(encoding="utf-8", errors="replace")[marks.get(path.name, 0) :]
            report.sections.append((path.name, said[-_LONGEST_LOG:]))
    return report


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    shape = {"workers": len(KINDS), "kinds": KINDS, "nodes": 3, "planner": with_planner_metrics()}
    with Pipeline(tmp_path_factory.mktemp("shared"), **shape) as pipeline:
        yield pipeline


@pytest.fixture(params=KINDS)
def pipeline(installation: Pipeline, request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    """The shared installation, without services and faults: each test is asked of each kind of proxy."""
    request.node.shared_pipeline = (installation, _lengths(installation))
    installation.worker = KINDS.index(request.param)
    yield installation
    installation.sim.reset()
    installation.wait(lambda: _empty(installation), lambda: f"nothing is served any more: {installation.status()}")


def _empty(pipeline: Pipeline) -> bool:
    """No host on the bus nor in the proxy, so that the next test's hosts are its own."""
    outcomes = [pipeline.outcome(worker) for worker in range(len(KINDS))]
    return settled(pipeline) and not pipeline.routes() and all(said is not None and not said.hosts for said in outcomes)


def _lengths(pipeline: Pipeline) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (pipeline.folder / "logs").glob("*.log")}
