"""The command line: what it refuses, with what remedy."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from interlock_planner.cli import main


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--bus URL"),
        (["--bus", "http://x"], "redis://host:6379/0"),
        (["--bus", "redis://127.0.0.1:1", "--metrics", "nowhere"], "write host:port"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_it_with_status_2(args: list[str], said: str) -> None:
    result = CliRunner().invoke(main, args, env={"INTERLOCK_BUS": "", "INTERLOCK_METRICS": ""})
    assert result.exit_code == 2
    assert said in result.output


def test_help_has_examples_and_tells_its_own_default_region() -> None:
    result = CliRunner().invoke(main, ["--help"], terminal_width=200)
    assert result.exit_code == 0
    assert "interlock-planner --bus redis://bus:6379/0" in result.output
    assert "all when omitted" in result.output
