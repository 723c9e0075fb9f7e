"""`interlock config`: what it prints, and its exit status."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from interlock.cli import main as umbrella
from interlock.config.document import SECTIONS
from interlock.config.reference import markdown


def run(*arguments: str) -> Result:
    return CliRunner().invoke(umbrella, ["config", *arguments], terminal_width=200)


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ('PollInterval = "4s"\n[Extensions.x]\nImage = "i"\nHitlessServiceUpdate = true', 0,
         ["1  now                 PollInterval: ", "3  in a later version  Extensions.x.Image: ",
          "4  no known effect     Extensions.x.HitlessServiceUpdate: ",
          "it is fine. 0 errors; 0 warnings; 1 key effective now; 1 key in a later version; 1 key without"]),
        ('PolInterval = "4s"', 1, ["1  warning  PolInterval: unknown key, ignored; did you mean PollInterval?",
                                   "it starts; see the warnings. 0 errors; 1 warning"]),
        ('PollInterval = "x"\nzzz = 1', 2,
         ["1  error    PollInterval = 'x': 'x' is not a duration; write PollInterval = ",
          "2  warning  zzz: unknown key, ignored", "no service starts with it. 1 error;"]),
        ("a = ", 2, ["1  error  not TOML: "]),
        ('[Extensions.x]\nExtension = "haproxy"\nTemplate = "x.j2"', 2,
         ["3  error  Extensions.x.Template = 'x.j2': templates are for nginx", "no service starts with it. 1 error;"]),
        ('[Extensions.x]\nExtension = "haproxy"\n[Extensions.x.Config]\nAccessLogPath = "/var/log/x"', 2,
         ["4  error  Extensions.x.Config.AccessLogPath = '/var/log/x': HAProxy writes no files; write "]),
    ],
)  # fmt: skip
def test_what_check_says(tmp_path: Path, text: str, status: int, said: list[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    result = run("check", str(file))
    assert result.exit_code == status
    # A long path may break the last line.
    shown = " ".join(result.stdout.split())
    for words in said:
        assert " ".join(words.split()) in shown
    data = msgspec.json.decode(run("check", "--json", str(file)).stdout)
    assert data["status"] == status
    assert len(data["errors"]) == (status == 2)


def test_values_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('BusURL = "redis://u:hunter2@b:6379"\n[Extensions.x.Config]\nAdminPass = "hunter2"')
    for more in ((), ("--json",)):
        result = run("check", *more, str(file))
        assert result.exit_code == 0
        assert "BusURL" in result.stdout
        assert "hunter2" not in result.output


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    result = run("check", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert f"{tmp_path / 'none'}: No such file or directory; give the path of a readable TOML file" in result.stderr


def test_keys() -> None:
    names = [key.name for section in SECTIONS for key in section.keys]
    assert [key["key"] for key in msgspec.json.decode(run("keys", "--json").stdout)] == names
    assert run("keys", "--markdown").stdout == markdown()
    shown = run("keys").stdout
    assert all(name in shown for name in names)
