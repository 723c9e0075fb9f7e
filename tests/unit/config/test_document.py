"""config.toml: known keys in any case, unknown ones reported, bad values refused with their place."""

from __future__ import annotations

import pytest

from interlock.config.document import KEYS, read_document
from interlock.config.duration import parse_duration
from interlock.errors import ConfigError


def test_keys_in_any_case() -> None:
    document = read_document('# first\npollinterval = "4s"\nDockerURL = "unix:///x"\n', where="c.toml")
    entry = document.get("PollInterval")
    assert entry is not None
    assert (entry.value, entry.line) == ("4s", 2)
    assert document.place(entry) == "c.toml:2: pollinterval"
    assert document.get("Region") is None
    assert document.warnings == ()


def test_the_extensions_are_kept_and_not_reported() -> None:
    document = read_document('[Extensions]\n[Extensions.nginx]\nImage = "i"\n', where="c.toml")
    assert document.extensions == {"nginx": {"Image": "i"}}
    assert document.warnings == ()


def test_an_unknown_key_is_reported_with_the_nearest() -> None:
    document = read_document('PolInterval = "3s"\nzzz = 1\n', where="c.toml")
    assert document.warnings == (
        "c.toml:1: PolInterval: unknown key, ignored; did you mean PollInterval?",
        "c.toml:2: zzz: unknown key, ignored",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PollInterval = 3", 'c.toml:1: PollInterval = 3: a string belongs here; write PollInterval = "3s"'),
        ('AllowInsecure = "yes"', "write AllowInsecure = true or false"),
        ("DockerURL = [1]", "c.toml:1: DockerURL = [1]: a string belongs here"),
        ('a = "', "c.toml: not TOML"),
        ('Region = "a"\nregion = "b"', "twice"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_document(text, where="c.toml")
    assert said in str(refused.value)


def test_every_documented_core_key_is_known() -> None:
    assert {"ListenAddr", "DockerURL", "TLSCACert", "TLSCert", "TLSKey", "AllowInsecure", "PollInterval"} <= set(KEYS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3s", 3), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("0", 0), (" 2s ", 2), (".5s", 0.5), ("10us", 1e-5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "3", "s", "-3s", "3 s", "3d", "3s1"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="write a duration"):
        parse_duration(text)
