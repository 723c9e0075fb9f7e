"""What the container's health check makes of what a service says of itself."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interlock.runtime import health


def said(path: Path, **state: object) -> str:
    path.write_text(json.dumps({"at": time.time(), "ok": True, "says": "fine", **state}))
    return str(path)


@contextmanager
def answering(path: Path, body: bytes) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.recv(4096)
                    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_AGAIN", 0.1)


def test_who_is_well_is_healthy(tmp_path: Path) -> None:
    assert health.check(said(tmp_path / "h")) == (True, "fine")


def test_who_is_not_well_says_why(tmp_path: Path) -> None:
    assert health.check(said(tmp_path / "h", ok=False, says="no plan")) == (False, "no plan")


def test_no_sign_of_life(tmp_path: Path) -> None:
    healthy, why = health.check(said(tmp_path / "h", at=time.time() - health.LIFELESS - 1))
    assert not healthy
    assert "no sign of life for 16 s" in why
    assert "fine" in why


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"at": "soon", "ok": true, "says": ""}', "null"])
def test_a_file_that_makes_no_sense_is_no_health(tmp_path: Path, text: str) -> None:
    (tmp_path / "h").write_text(text)
    healthy, why = health.check(str(tmp_path / "h"))
    assert not healthy
    assert "cannot be read" in why


def test_a_proxy_must_answer_by_itself(tmp_path: Path) -> None:
    name = said(tmp_path / "h", socket=str(tmp_path / "s"), serves=["abc"])
    assert not health.check(name)[0]
    with answering(tmp_path / "s", b"abc 1 2\n"):
        assert health.check(name)[0]


def test_a_proxy_in_a_deep_folder_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    name = said(tmp_path / "h", socket=str(deep / "s"), serves=["abc"])
    assert not health.check(name)[0]
    monkeypatch.chdir(deep)
    with answering(Path("s"), b"abc 1 2\n"):
        assert health.check(name)[0]
        assert health.ask("s") == "abc 1 2\n"


def test_a_proxy_must_serve_what_it_should(tmp_path: Path) -> None:
    name = said(tmp_path / "h", socket=str(tmp_path / "s"), serves=["new"])
    with answering(tmp_path / "s", b"old 1 2\n"):
        healthy, why = health.check(name)
    assert not healthy
    assert "'old 1 2'" in why


def test_while_a_change_comes_into_effect_a_proxy_may_serve_either(tmp_path: Path) -> None:
    """A large one takes many seconds, in which nginx is ahead of what its worker has proven."""
    name = said(tmp_path / "h", socket=str(tmp_path / "s"), serves=["old", "new"])
    with answering(tmp_path / "s", b"new 1 2\n"):
        assert health.check(name)[0]


def test_the_pulse_writes_and_the_program_reads(tmp_path: Path) -> None:
    stop = threading.Event()
    path = tmp_path / "h"
    thread = threading.Thread(
        target=health.pulse, args=(lambda: {"at": time.time(), "ok": True, "says": "here"}, stop, str(path))
    )
    thread.start()
    try:
        command = [sys.executable, "-m", "interlock.runtime.health", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    finally:
        stop.set()
        thread.join()
    assert (done.returncode, done.stdout) == (0, "here\n")


def test_a_pulse_that_cannot_be_written_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    turns: list[int] = []

    def state() -> health.State:
        turns.append(1)
        if len(turns) > 2:
            stop.set()
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "_EVERY", 0.01)
        health.pulse(state, stop, str(tmp_path / "none" / "h"))
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_without_a_file_there_is_no_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(health.FILE, raising=False)
    health.pulse(lambda: pytest.fail("asked"), threading.Event())


def test_a_sign_of_life_from_the_future_is_none(tmp_path: Path) -> None:
    """The clock was set back, and whoever lives would have renewed it within a second."""
    healthy, says = health.check(said(tmp_path / "h", at=time.time() + 3600))
    assert not healthy
    assert "no sign of life" in says
