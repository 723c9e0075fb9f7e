"""What this machine lets nginx have."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from interlock_extension.machine import limits


@pytest.mark.parametrize(
    ("hard", "privileged", "wanted", "found"),
    [
        (1000, False, 1000, 1000),
        (1000, False, 1001, 1000),
        (1000, True, 1001, 1001),
        (resource.RLIM_INFINITY, False, 10**6, 10**6),
    ],
)
def test_open_files(monkeypatch: pytest.MonkeyPatch, hard: int, privileged: bool, wanted: int, found: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (10, hard))
    monkeypatch.setattr(limits, "_may_raise", lambda: privileged)
    assert limits.open_files(wanted) == found


def test_the_kernels_own_bound_counts_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (10, 1000))
    monkeypatch.setattr(limits, "_may_raise", lambda: True)
    assert limits.open_files(2**40) == int(Path("/proc/sys/fs/nr_open").read_text())
