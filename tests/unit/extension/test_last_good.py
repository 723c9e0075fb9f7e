"""Last good on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.errors import ConfigError
from interlock.model.version import Version
from interlock_extension.delivery.files import LastGood
from support.nginx_lab import view

VERSION = Version(generation="g", seq=3, nonce="n")


def reopened(folder: Path, cluster: str = "r/~") -> LastGood:
    return LastGood(folder, cluster)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    kept = LastGood(tmp_path, "r/~")
    kept.write({"a": view("a", 1), "b": view("b", 2)}, VERSION)
    kept.write({"b": None}, VERSION)
    kept.close()
    again = reopened(tmp_path)
    found = again.read()
    again.close()
    assert found.views == {"a": view("a", 1)}
    assert found.version == VERSION
    assert found.problems == ()


def test_a_corrupted_file_is_ignored_with_a_message(tmp_path: Path) -> None:
    kept = LastGood(tmp_path, "r/~")
    kept.write({"a": view("a", 1), "b": view("b", 2)}, VERSION)
    victim = sorted((tmp_path / "lastgood").glob("*.view"))[0]
    victim.write_bytes(victim.read_bytes()[:-7])
    found = kept.read()
    kept.close()
    assert len(found.views) == 1
    assert victim.name in found.problems[0]


def test_another_clusters_folder_holds_nothing_for_us(tmp_path: Path) -> None:
    kept = LastGood(tmp_path, "r/one")
    kept.write({"a": view("a", 1)}, VERSION)
    kept.close()
    other = reopened(tmp_path, "r/two")
    found = other.read()
    other.close()
    assert found.views == {}
    assert found.version is None
    assert "r/one" in found.problems[0]


def test_two_workers_cannot_share_a_folder(tmp_path: Path) -> None:
    first = LastGood(tmp_path, "r/~")
    with pytest.raises(ConfigError, match="in use by another worker"):
        LastGood(tmp_path, "r/~")
    first.close()
    reopened(tmp_path).close()


def test_files_are_synced_before_they_take_their_names_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = LastGood(tmp_path, "r/~")
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        real_sync(handle)

    def replace(path: Path, target: Path) -> Path:
        steps.append(f"rename {path.name}")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    kept.write({"a": view("a", 1), "gone": None}, VERSION)
    kept.close()
    synced = [step.removeprefix("sync ") for step in steps[:2]]
    assert [step.removeprefix("rename ") for step in steps[2:4]] == synced
    assert steps[4:] == ["sync lastgood"]


def test_many_files_are_synced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = LastGood(tmp_path, "r/~")
    syncs: list[str] = []
    monkeypatch.setattr(os, "sync", lambda: syncs.append("all"))
    kept.write({f"h{n}": view(f"h{n}", 1) for n in range(100)}, VERSION)
    assert syncs == ["all"]
    assert len(kept.read().views) == 100
    kept.close()
