"""One volume for several workers of a node."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from interlock.model.version import Version
from interlock.runtime.init import CONTAINER
from interlock_extension.delivery import pool
from interlock_extension.delivery.files import LastGood
from support.nginx_lab import view


def version(seq: int) -> Version:
    return Version(generation="g", seq=seq, nonce=f"n{seq}")


def aged(folder: Path, seconds: float) -> None:
    state = folder / "lastgood" / "state"
    at = state.stat().st_mtime - seconds
    os.utime(state, (at, at))


def test_two_workers_of_a_node_have_a_folder_each(tmp_path: Path) -> None:
    one = pool.claim(tmp_path, "r/~")
    two = pool.claim(tmp_path, "r/~")
    one.close()
    two.close()
    assert one.folder != two.folder


def test_who_replaces_another_finds_what_that_one_kept(tmp_path: Path) -> None:
    first = pool.claim(tmp_path, "r/~")
    first.last_good.write({"a": view("a", 1)}, version(3))
    first.close()
    again = pool.claim(tmp_path, "r/~")
    found = again.last_good.read()
    again.close()
    assert again.folder == first.folder
    assert (found.views, found.version) == ({"a": view("a", 1)}, version(3))


def test_what_a_neighbour_has_kept_since_wins(tmp_path: Path) -> None:
    first = pool.claim(tmp_path, "r/~")
    second = pool.claim(tmp_path, "r/~")
    first.last_good.write({"a": view("a", 1), "gone": view("gone", 9)}, version(3))
    aged(first.folder, 60)
    first.close()
    second.last_good.write({"a": view("a", 2)}, version(4))
    again = pool.claim(tmp_path, "r/~")
    found = again.last_good.read()
    again.close()
    second.close()
    assert again.folder == first.folder
    assert (found.views, found.version) == ({"a": view("a", 2)}, version(4))


def test_an_older_neighbour_gives_nothing(tmp_path: Path) -> None:
    first = pool.claim(tmp_path, "r/~")
    second = pool.claim(tmp_path, "r/~")
    second.last_good.write({"a": view("a", 1)}, version(3))
    aged(second.folder, 60)
    first.last_good.write({"a": view("a", 2)}, version(4))
    first.close()
    again = pool.claim(tmp_path, "r/~")
    found = again.last_good.read()
    again.close()
    second.close()
    assert found.version == version(4)


def test_another_clusters_neighbour_gives_nothing(tmp_path: Path) -> None:
    other = LastGood(tmp_path / "1", "r/other")
    other.write({"a": view("a", 1)}, version(3))
    mine = pool.claim(tmp_path, "r/~")
    found = mine.last_good.read()
    mine.close()
    other.close()
    assert found.views == {}


def test_a_neighbour_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    broken = pool.claim(tmp_path, "r/~")
    broken.last_good.write({"a": view("a", 1)}, version(3))
    (tmp_path / "1" / "lastgood" / "state").write_bytes(b"nonsense")
    good = pool.claim(tmp_path, "r/~")
    good.last_good.write({"a": view("a", 2)}, version(4))
    aged(tmp_path / "2", 60)
    third = pool.claim(tmp_path, "r/~")
    found = third.last_good.read()
    for one in (broken, good, third):
        one.close()
    assert found.version == version(4)


def test_a_worker_that_is_started_again_in_its_container_has_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nginx serves from there; the neighbour that held the first folder has gone."""
    monkeypatch.setenv(CONTAINER, "neighbour")
    neighbour = pool.claim(tmp_path, "r/~")
    monkeypatch.setenv(CONTAINER, "mine")
    first = pool.claim(tmp_path, "r/~")
    neighbour.close()
    first.last_good.close()  # killed: it gives nothing free
    again = pool.claim(tmp_path, "r/~")
    again.close()
    assert again.folder == first.folder


def test_nobody_takes_the_folder_of_a_worker_that_is_about_to_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTAINER, "neighbour")
    neighbour = pool.claim(tmp_path, "r/~")
    neighbour.last_good.close()
    monkeypatch.setenv(CONTAINER, "mine")
    mine = pool.claim(tmp_path, "r/~")
    mine.close()
    assert mine.folder != neighbour.folder
    # Its container has gone with it, as it turns out.
    at = time.time() - pool.ABANDONED - 1
    os.utime(neighbour.folder / "owner", (at, at))
    later = pool.claim(tmp_path, "r/~")
    later.close()
    assert later.folder == neighbour.folder


def test_a_host_that_a_neighbour_removes_meanwhile_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour = pool.claim(tmp_path, "r/~")
    neighbour.last_good.write({name: view(name, 1) for name in ("a", "b", "c")}, version(3))
    victim = sorted((neighbour.folder / "lastgood").glob("*.view"))[1]
    read = Path.read_bytes

    def vanishing(path: Path) -> bytes:
        if path == victim:
            raise FileNotFoundError(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", vanishing)
    mine = pool.claim(tmp_path, "r/~")
    monkeypatch.undo()
    found = mine.last_good.read()
    for one in (neighbour, mine):
        one.close()
    assert len(found.views) == 2
    assert found.version == version(3)
