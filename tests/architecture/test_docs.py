"""The pages that are made from the code are up to date, and what they promise is true of the code."""

from __future__ import annotations

import re

import pytest

from interlock.labels import documentation
from interlock.model.problem import CODES
from support.house import ROOT

PAGES = {"labels.md": documentation.text}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name](), "run `make docs`"


def test_every_code_of_a_problem_is_listed_and_used() -> None:
    sources = [path for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py")]
    written = "\n".join(path.read_text() for path in sources if path.name != "problem.py")
    used = set(re.findall(r'(?:code=|refused\(|_problem\()\s*"([a-z]+-[a-z-]+|conflict|unreadable|refused)"', written))
    used |= {word for word in CODES if f'"{word}"' in written}
    assert used == set(CODES)
