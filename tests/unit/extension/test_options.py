"""One option of a proxy, read by the registry of config.toml."""

from __future__ import annotations

import pytest

from interlock.config.key import Key, Section
from interlock.config.kinds import number, text
from interlock.errors import ConfigError
from interlock_extension.options import read_option

SECTION = Section(
    title="[x]",
    about="",
    keys=(
        Key(name="ReadTimeout", kind=number(1, 9), default="1", doc=""),
        Key(name="Pass", kind=text(), default='""', doc="", secret=True),
    ),
)


def test_an_option_in_any_case_is_read_as_its_key_says() -> None:
    assert read_option("readTimeout", 7, "here", section=SECTION, known="none") == 7


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ReadTimout", 7, "here: unknown key; did you mean ReadTimeout?"),
        ("Nothing", 7, "here: unknown key; there are two"),
        ("readtimeout", 10, "here = 10: the number is out of bounds; write ReadTimeout = a number of 1 to 9"),
        ("pass", 77, 'here = …: a string belongs here; write Pass = "77"'),
    ],
)
def test_a_bad_option_is_told_with_its_place_and_remedy(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_option(name, value, "here", section=SECTION, known="there are two")
    assert str(refusal.value) == said
