"""Thousands of cases of labels through the whole chain into a live nginx; CI draws some with every run."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from support.chain import Chain
from support.nasty import run_cases

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]


@pytest.mark.parametrize("kind", ["labels", "stacks"])
def test_whatever_the_labels_say(tmp_path: Path, kind: str) -> None:
    number = int(os.environ.get("SOAK_CASES", "10000")) // 2
    start = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    with Chain(tmp_path) as chain:
        run_cases(chain, number, kind, start)
