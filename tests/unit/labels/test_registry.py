"""Adding a label is one file in one folder: registry, reading and documentation find it there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interlock.labels.documentation import text
from interlock.labels.known.balancing import IP_HASH
from interlock.labels.known.passive_checks import MAX_FAILS
from interlock.labels.label import Label
from interlock.labels.registry import LABELS

NEW = """
'''The family of colours: what a service looks like.'''

from interlock.labels.label import PREFIX, Flaw, Label, parse_text

COLOUR = Label(name=f"{PREFIX}colour", syntax="a colour", doc="Its colour.", example="red", default="",
               parse=parse_text, without="everything is grey")

def _seen(routing, labels):
    if labels.get(COLOUR.name) == "blue":
        yield COLOUR.name, Flaw(code="conflict", value="blue", reason="is taken", remedy="Take red")

LABELS = (COLOUR,)
CHECKS = (_seen,)
"""

LOOK = """
import sys
import interlock.labels.known as known
known.__path__.append(sys.argv[1])
from interlock.labels.documentation import text
from interlock.labels.reading import read
from interlock.labels.registry import LABELS
assert "com.docker.lb.colour" in LABELS
assert "### colour" in text() and "What a service looks like." in text()
found = read("s", "1", {"com.docker.lb.colour": "blue", "com.docker.lb.hosts": "a.b", "com.docker.lb.port": "80"})
assert [p.reason for p in found.problems] == ["is not supported yet: everything is grey", "is taken"], found
assert "colour?" in read("s", "1", {"com.docker.lb.color": "blue"}).problems[0].remedy
"""


def test_a_new_label_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "colours.py").write_text(NEW)
    done = subprocess.run([sys.executable, "-c", LOOK, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_words_count_in_any_case_and_the_page_says_so() -> None:
    words = {"task", "default", "vip", "true", "false"}
    head = text().partition("| Label")[0]
    assert "may be written in any case (`TRUE`,\n`VIP`)" in head
    assert {word for word in words if f"`{word}`" in head} == words - {"default"}
    for label in LABELS.values():
        for word in words:
            if f"`{word}`" in label.syntax and label.field:
                taken = label.parse(word)
                assert taken.flaws == ()
                assert label.parse(word.upper()) == label.parse(word.title()) == taken


@pytest.mark.parametrize(
    ("label", "said", "depends"),
    [
        # Not there, not readable, the default, a value that is alike everywhere, and one that is not.
        (MAX_FAILS, None, False),
        (MAX_FAILS, "many", False),
        (MAX_FAILS, "0", False),
        (MAX_FAILS, "3", True),
        (IP_HASH, "false", False),
        (IP_HASH, "true", True),
    ],
)
def test_whether_a_label_asks_for_what_proxies_may_do_each_in_its_own_way(
    label: Label[Any], said: str | None, depends: bool
) -> None:
    assert label.depends({} if said is None else {label.name: said}) is depends
