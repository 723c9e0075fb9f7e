"""Option, environment, file, default; and what is said of a value that cannot be used."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from interlock.config.document import Document
from interlock.errors import PartMissing
from interlock.runtime import logging
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


def test_toml_text_in_the_environment_wins_over_a_file(file: Path) -> None:
    """Contract 1.10. Text that is too long for a path, too, and text without any key of the top."""
    for text in ('Region = "inline"', '[Extensions.x]\nImage = "i"\n' + "# long\n" * 2000, "[Extensions.x]"):
        result = run("-c", str(file), INTERLOCK_CONFIG=text)
        region = "inline" if "inline" in text else "default"
        assert result.stdout.endswith(f"3.0 {region} False \n")
        assert f"INTERLOCK_CONFIG holds a configuration: {file} is not read" in result.output
    other = file.with_name("other.toml")
    other.write_text('Region = "other"')
    named = run("-c", str(file), INTERLOCK_CONFIG=str(other))
    assert named.stdout == "5.0 west True \n"
    bad = run("-c", str(file), INTERLOCK_CONFIG="[Extensions.x]\nImage = 1")
    assert bad.exit_code == 2
    assert "INTERLOCK_CONFIG:2: Extensions.x.Image = 1: a string belongs here" in bad.stderr


@pytest.mark.parametrize(
    "text",
    [
        "# nothing but this",
        "  # nothing",
        "[Extensions.x]",
        "\ufeff# x",
        "# a\n# b\n",
        'Name = "n"',
        "#\r\n",
        "x=1" * 9999,
    ],
)
def test_what_the_variable_holds_is_text_where_it_can_be_no_path(file: Path, text: str) -> None:
    result = run("-c", str(file), INTERLOCK_CONFIG=text)
    assert f"INTERLOCK_CONFIG holds a configuration: {file} is not read" in result.output or "not TOML" in result.stderr
    assert "5.0 west" not in result.stdout


def test_a_file_that_is_there_is_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("#a=[b]", "a=b", "[a]", "plain"):
        Path(name).write_text('Region = "west"')
        for given in (name, f"{tmp_path / name}\n", f" {name}\r\n"):
            assert run(INTERLOCK_CONFIG=given).stdout == "3.0 west False \n"
    for blank in ("", " ", "\n"):
        assert run(INTERLOCK_CONFIG=blank).stdout == "3.0 default False \n"
        assert run("-c", "plain", INTERLOCK_CONFIG=blank).stdout == "3.0 west False \n"
    missing = run(INTERLOCK_CONFIG="none.toml\n")
    assert missing.exit_code == 2
    assert "environment: INTERLOCK_CONFIG: none.toml: No such file" in missing.stderr
    assert "or TOML text" in missing.stderr


def test_a_byte_order_mark_in_a_file(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert run("-c", str(file)).stdout == "5.0 west True \n"


def test_what_an_option_overrides_is_checked_all_the_same(file: Path) -> None:
    file.write_text('PollInterval = "soon"')
    assert run("-c", str(file), "--poll-interval", "7s").exit_code == 2


def test_the_registry_has_the_choices_of_the_options(file: Path) -> None:
    for key, values in {"LogLevel": logging.LEVELS, "LogFormat": ("console", "json")}.items():
        for value in values:
            file.write_text(f'{key} = "{value}"')
            assert run("-c", str(file)).exit_code == 0
        file.write_text(f'{key} = "other"')
        assert run("-c", str(file)).exit_code == 2


def test_a_bad_value_names_its_place_and_the_remedy(file: Path) -> None:
    file.write_text('\nPollInterval = "soon"\n')
    for result, said in [
        (run("-c", str(file)), f"{file}:2: PollInterval = 'soon': 'soon' is not a duration; write PollInterval = "),
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


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "bus.url"
    path.write_text("redis://watcher:hunter2@bus:6379/0\n")
    return path


def test_the_bus_is_read_from_a_file(secret: Path, file: Path) -> None:
    read = "3.0 default False redis://watcher:hunter2@bus:6379/0\n"
    assert run("--bus-file", str(secret)).stdout == read
    assert run(INTERLOCK_BUS_FILE=str(secret)).stdout == read
    file.write_text(f'BusFile = "{secret}"\n')
    assert run("-c", str(file)).stdout == read


def test_a_byte_order_mark_is_no_part_of_the_bus(secret: Path) -> None:
    secret.write_bytes(b"\xef\xbb\xbf" + secret.read_bytes())
    assert run("--bus-file", str(secret)).stdout.endswith(" redis://watcher:hunter2@bus:6379/0\n")


def test_of_a_bus_and_a_file_the_nearer_counts(secret: Path, file: Path) -> None:
    assert run("--bus", "unix:///b", "--bus-file", str(secret)).stdout.endswith(" unix:///b\n")
    assert run("--bus", "unix:///b", INTERLOCK_BUS_FILE=str(secret)).stdout.endswith(" unix:///b\n")
    assert run("--bus-file", str(secret), INTERLOCK_BUS="unix:///b").stdout.endswith("@bus:6379/0\n")
    file.write_text('BusURL = "unix:///b"\n')
    assert run("-c", str(file), INTERLOCK_BUS_FILE=str(secret)).stdout.endswith("@bus:6379/0\n")
    both = run(INTERLOCK_BUS="unix:///b", INTERLOCK_BUS_FILE=str(secret))
    assert (both.exit_code, both.stdout) == (2, "")
    assert "INTERLOCK_BUS and INTERLOCK_BUS_FILE are both given" in both.stderr
    file.write_text(f'BusURL = "unix:///b"\nBusFile = "{secret}"\n')
    assert "BusURL and BusFile of config.toml are both given" in run("-c", str(file)).stderr


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b" \n", "the file is empty"), (b"hunter2\xff", "it is not text")]
)
def test_a_bus_file_that_holds_no_url_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "bus.url"
    if content is not None:
        path.write_bytes(content)
    refused = run("--bus-file", str(path))
    assert refused.exit_code == 2
    assert f"--bus-file {path}: {said}" in refused.stderr
    assert "hunter2" not in refused.output


def test_no_password_in_what_a_traceback_shows_of_the_settings(secret: Path) -> None:
    common = Common(
        bus=secret.read_text(), region="r", log_level="info", log_format="json", metrics="", document=Document()
    )
    assert "hunter2" not in repr(common)
