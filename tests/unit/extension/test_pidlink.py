"""`PidPath`: a link that cannot be made is told, and ends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock_extension.machine.pidlink import link_pid, unlink_pid


def test_an_older_link_or_pid_file_is_replaced(tmp_path: Path) -> None:
    path, pid_file = tmp_path / "proxy.pid", tmp_path / "nginx.pid"
    pid_file.write_text("7\n")
    path.write_text("6\n")
    for _ in range(2):
        assert link_pid(path, pid_file) is None
        assert path.readlink() == pid_file
    assert sorted(each.name for each in tmp_path.iterdir()) == ["nginx.pid", "proxy.pid"]


@pytest.mark.parametrize("name", ["file/proxy.pid", "missing/proxy.pid", "x" * 255, "/"])
def test_where_neither_making_nor_removing_is_possible_it_says_so(tmp_path: Path, name: str) -> None:
    """As on a read-only root, where removing what was never made is an error of its own."""
    (tmp_path / "file").write_text("x")
    path = tmp_path / name
    assert (link_pid(path, tmp_path / "nginx.pid") or "").startswith(f"{path} cannot be made: ")


def test_the_link_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path, pid_file, others = tmp_path / "proxy.pid", tmp_path / "nginx.pid", tmp_path / "other.pid"
    assert link_pid(path, pid_file) is None
    unlink_pid(path, others)
    assert path.is_symlink()
    for _ in range(2):
        unlink_pid(path, pid_file)
        assert not path.is_symlink()
    path.write_text("7\n")
    unlink_pid(path, pid_file)
    assert path.read_text() == "7\n"
