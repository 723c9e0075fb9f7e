"""One volume for several workers of a node."""

from __future__ import annotations

import os
from pathlib import Path

from interlock.model.version import Version
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
    one_dir, one = pool.claim(tmp_path, "r/~")
    two_dir, two = pool.claim(tmp_path, "r/~")
    one.close()
    two.close()
    assert one_dir != two_dir


def test_who_replaces_another_finds_what_that_one_kept(tmp_path: Path) -> None:
    first_dir, first = pool.claim(tmp_path, "r/~")
    first.write({"a": view("a", 1)}, version(3))
    first.close()
    again_dir, again = pool.claim(tmp_path, "r/~")
    found = again.read()
    again.close()
    assert again_dir == first_dir
    assert (found.views, found.version) == ({"a": view("a", 1)}, version(3))


def test_what_a_neighbour_has_kept_since_wins(tmp_path: Path) -> None:
    first_dir, first = pool.claim(tmp_path, "r/~")
    _, second = pool.claim(tmp_path, "r/~")
    first.write({"a": view("a", 1), "gone": view("gone", 9)}, version(3))
    aged(first_dir, 60)
    first.close()
    second.write({"a": view("a", 2)}, version(4))
    again_dir, again = pool.claim(tmp_path, "r/~")
    found = again.read()
    again.close()
    second.close()
    assert again_dir == first_dir
    assert (found.views, found.version) == ({"a": view("a", 2)}, version(4))


def test_an_older_neighbour_gives_nothing(tmp_path: Path) -> None:
    _, first = pool.claim(tmp_path, "r/~")
    second_dir, second = pool.claim(tmp_path, "r/~")
    second.write({"a": view("a", 1)}, version(3))
    aged(second_dir, 60)
    first.write({"a": view("a", 2)}, version(4))
    first.close()
    _, again = pool.claim(tmp_path, "r/~")
    found = again.read()
    again.close()
    second.close()
    assert found.version == version(4)


def test_another_clusters_neighbour_gives_nothing(tmp_path: Path) -> None:
    other = LastGood(tmp_path / "1", "r/other")
    other.write({"a": view("a", 1)}, version(3))
    _, mine = pool.claim(tmp_path, "r/~")
    found = mine.read()
    mine.close()
    other.close()
    assert found.views == {}


def test_a_neighbour_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    _, broken = pool.claim(tmp_path, "r/~")
    broken.write({"a": view("a", 1)}, version(3))
    (tmp_path / "1" / "lastgood" / "state").write_bytes(b"nonsense")
    _, good = pool.claim(tmp_path, "r/~")
    good.write({"a": view("a", 2)}, version(4))
    aged(tmp_path / "2", 60)
    _, third = pool.claim(tmp_path, "r/~")
    found = third.read()
    for one in (broken, good, third):
        one.close()
    assert found.version == version(4)
