"""The folder of a proxy: what is written, and what is left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from interlock.errors import ProxyUnavailable
from interlock_extension.machine.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "proxy", folders=("hosts", "maps"), kept=("*.conf", "hosts/*.conf"))
    made.open()
    made.write({"main.conf": b"main", "hosts/a.conf": b"a", "hosts/b.conf": b"b"})
    made.proven()
    return made


def on_disk(place: Place) -> dict[str, bytes]:
    return {str(p.relative_to(place.folder)): p.read_bytes() for p in place.folder.rglob("*") if p.is_file()}


def test_what_is_there_with_the_same_bytes_is_not_written(place: Place) -> None:
    before = {path: path.stat().st_ino for path in place.folder.rglob("*")}
    place.write({"main.conf": b"main", "hosts/a.conf": b"a"})
    place.open()
    assert {path: path.stat().st_ino for path in place.folder.rglob("*")} == before


def test_what_somebody_edited_is_written_although_it_is_installed(place: Place) -> None:
    (place.folder / "main.conf").write_bytes(b"other")
    place.write({"main.conf": b"main"})
    assert on_disk(place)["main.conf"] == b"main"


@pytest.mark.parametrize("aside", [False, True])
def test_a_folder_that_is_gone_is_made_again_with_what_belongs_there(place: Place, aside: bool) -> None:
    mode = (place.folder / "hosts").stat().st_mode
    for name in ("hosts", "maps"):
        shutil.rmtree(place.folder / name)
    with capture_logs() as log:
        place.write_aside({})
    told = [line["folder"] for line in log]
    assert told == [str(place.folder / name) for name in ("hosts", "maps")]
    if aside:
        place.write_aside({"maps/some.map": b"x"})
        assert on_disk(place) == {**place.content, "maps/some.map": b"x"}
    else:
        shutil.rmtree(place.folder / "hosts")
        place.write({"hosts/a.conf": b"other", "hosts/c.conf": b"c", "hosts/b.conf": None})
        assert on_disk(place) == place.content
        place.restore()
        assert on_disk(place) == {"main.conf": b"main", "hosts/a.conf": b"a", "hosts/b.conf": b"b"}
    assert (place.folder / "hosts").stat().st_mode == mode


def test_where_writing_fails_nothing_has_gone_for_it(place: Place) -> None:
    (place.folder / "hosts" / ".c.conf.new").mkdir()
    with pytest.raises(ProxyUnavailable, match=r"c\.conf"):
        place.write({"hosts/a.conf": None, "hosts/c.conf": b"c"})
    assert on_disk(place) == place.content
    assert "hosts/a.conf" in place.content


def test_a_folder_that_is_gone_as_a_whole_is_not_made_beside_who_runs_in_it(place: Place) -> None:
    shutil.rmtree(place.folder)
    with pytest.raises(ProxyUnavailable, match="is gone"):
        place.write({"main.conf": b"other"})
    assert not place.folder.exists()
