"""Option, environment, file, default; and what is said of a value that cannot be used."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from interlock.errors import PartMissing
from interlock.runtime.settings import Common, Duration, ServiceCommand, common_options, setting


@click.command(cls=ServiceCommand)
@common_options
@setting("--poll-interval", key="PollInterval", type=Duration(), default="3s", help="Interval.")
@setting("--allow/--refuse", key="AllowInsecure", default=False, help="Flag.")
def command(common: Common, poll_interval: float, allow: bool) -> None:
    if common.region == "broken":
        raise PartMissing("nothing there")
    click.echo(f"{poll_interval} {common.region} {allow} {common.bus}")


def run(*arguments: str, **env: str) -> Result:
    return CliRunner(env=env).invoke(command, arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('pollinterval = "5s"\nRegion = "west"\nAllowInsecure = true\n')
    return path


def test_precedence(file: Path) -> None:
    assert run().stdout == "3.0 default False \n"
    assert run("-c", str(file)).stdout == "5.0 west True \n"
    assert run("-c", str(file), INTERLOCK_POLL_INTERVAL="6s").stdout == "6.0 west True \n"
    arguments = ["-c", str(file), "--poll-interval", "7s", "--refuse"]
    assert run(*arguments, INTERLOCK_POLL_INTERVAL="6s").stdout == "7.0 west False \n"
    assert run(INTERLOCK_CONFIG=str(file), INTERLOCK_BUS="unix:///b").stdout == "5.0 west True unix:///b\n"
    assert run(INTERLOCK_CONFIG='Region = "inline"').stdout == "3.0 inline False \n"


def test_a_bad_value_names_its_place_and_the_remedy(file: Path) -> None:
    file.write_text('\nPollInterval = "soon"\n')
    for result, said in [
        (run("-c", str(file)), f"{file}:2: PollInterval = 'soon': 'soon' is not a duration; write a duration"),
        (run(INTERLOCK_POLL_INTERVAL="x"), "environment: INTERLOCK_POLL_INTERVAL = 'x'"),
        (run("--poll-interval", "x"), "--poll-interval"),
        (run("-c", str(file.parent / "none")), "No such file"),
        (run("--region", "broken"), "Error: nothing there"),
    ]:
        assert result.exit_code == 2
        assert said in result.stderr
        assert "Traceback" not in result.output


def test_help_names_the_environment() -> None:
    assert "INTERLOCK_POLL_INTERVAL" in run("--help").stdout
