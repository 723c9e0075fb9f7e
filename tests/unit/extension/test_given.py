"""`--option NAME=VALUE`: what a text on the command line stands for."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from interlock.errors import ConfigError
from interlock_extension.cli import main
from interlock_extension.given import given_options
from interlock_extension.nginx.config import read_config


@pytest.mark.parametrize(
    ("text", "value"),
    [("60", 60), ("true", True), ("false", False), ("75s", "75s"), ("", ""), ("a=b", "a=b"), ("True", "True")],
)
def test_single_values(text: str, value: object) -> None:
    assert given_options([f"X={text}"]) == {"X": value}


def test_a_list_is_written_as_in_the_file() -> None:
    given = given_options(['HTTPOptions=["gzip on;", \'gzip_types "text/css";\']', "ReadTimeout=60"])
    assert given == {"HTTPOptions": ["gzip on;", 'gzip_types "text/css";'], "ReadTimeout": 60}
    assert read_config(given).http_options == ("gzip on;", 'gzip_types "text/css";')
    assert given_options([" X= [ ] "]) == {" X": []}


def test_an_option_that_is_given_again() -> None:
    assert given_options(["X=1", "x=2"]) == {"X": 2}
    assert given_options(['HTTPOptions=["a;"]', 'httpoptions=["b;"]']) == {"HTTPOptions": ["a;", "b;"]}
    assert given_options(["X=[1]", "X=words"]) == {"X": "words"}


@pytest.mark.parametrize("text", ["[gzip on;]", "[", "[1] x", "[" * 5000])
def test_a_list_that_is_none_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        given_options([f"HTTPOptions={text}"])
    assert str(caught.value).startswith("--option 'HTTPOptions=[")
    assert str(caught.value).endswith("""--option 'HTTPOptions=["first", "second"]'""")


def test_a_second_key_behind_a_line_break_is_no_option() -> None:
    assert given_options(["X=[]\nY = 1"]) == {"X": "[]\nY = 1"}


def test_an_option_without_a_value() -> None:
    with pytest.raises(ConfigError, match="no value; write NAME=VALUE"):
        given_options(["ReadTimeout"])


def test_a_list_where_none_belongs_is_refused_with_what_does() -> None:
    done = CliRunner().invoke(main, ["--bus", "redis://127.0.0.1:1", "--option", "ReadTimeout=[60]"])
    assert done.exit_code == 2
    assert "ReadTimeout" in done.output


def test_the_help_says_how_a_list_is_written() -> None:
    assert """HTTPOptions=["gzip on;"]""" in " ".join(CliRunner().invoke(main, ["--help"]).output.split())


@pytest.mark.parametrize("name", ["a b", "~", "-east", "x" * 64, "a/b"])
def test_a_service_cluster_that_no_label_can_name_ends_the_worker_at_once(name: str) -> None:
    for said in (["--cluster", name], []):
        done = CliRunner(env={"INTERLOCK_CLUSTER": name}).invoke(main, ["--bus", "redis://127.0.0.1:1", *said])
        assert done.exit_code == 2
        assert "no label can name such a service cluster" in done.output
        assert "such as us-east" in done.output
