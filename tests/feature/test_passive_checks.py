"""Passive checks: what is written for each server of an upstream."""

from __future__ import annotations

import re

import pytest

from support.pipeline import PREFIX, Pipeline

# By meaning, and so on every proxy: tests/integration/extension/test_passive_checks.py.
nginx_alone = pytest.mark.parametrize("pipeline", ["nginx"], indirect=True)


def _servers(pipeline: Pipeline) -> list[str]:
    folder = pipeline.folder / "state" / pipeline.installation.workers[0] / "nginx" / "hosts"
    written = (folder / "demo.test.conf").read_text()
    return [more for _, more in re.findall(r"^    server (\S+:8080)( .*)?;$", written, re.MULTILINE)]


@nginx_alone
def test_case_38_passive_health(pipeline: Pipeline) -> None:
    """Case 38: each server line of the service's upstream carries them."""
    pipeline.service("demo", replicas=3, labels={"max_fails": "3", "fail_timeout": "30s"})
    pipeline.sim.wait_converged("demo")
    pipeline.wait(lambda: _servers(pipeline) == [" max_fails=3 fail_timeout=30s"] * 3, "every server has them")
    pipeline.wait_routed("demo.test")


@nginx_alone
def test_case_38_absent_they_are_nginx_s_own(pipeline: Pipeline) -> None:
    pipeline.service("demo", replicas=2)
    pipeline.sim.wait_converged("demo")
    pipeline.wait(lambda: _servers(pipeline) == ["", ""], "every server is plain")
    pipeline.sim.set_labels("demo", {PREFIX + "max_fails": "many", PREFIX + "fail_timeout": "500ms"})
    pipeline.wait(lambda: len(pipeline.problems("demo")) == 2, "the owner is told")
    assert {problem.code for problem in pipeline.problems("demo")} == {"count-invalid", "time-invalid"}
    assert _servers(pipeline) == ["", ""]
