"""Any labels, through the whole chain into a live nginx: never an invalid configuration, never a change to a neighbour,
never a directive that no template wrote. Each run draws new cases; `make soak` draws 10,000."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.chain import Chain
from support.nasty import run_cases

CASES = 60


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with Chain(tmp_path) as running:
        yield running


@pytest.mark.parametrize("kind", ["labels", "stacks"])
def test_whatever_the_labels_say(chain: Chain, kind: str) -> None:
    run_cases(chain, CASES, kind, random.SystemRandom().randrange(10**6))
