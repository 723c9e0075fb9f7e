"""The embedded server: real, private, and gone when it should be."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from interlock.bus.connection import Bus
from interlock.bus.embedded import EmbeddedServer
from interlock.errors import BusUnavailable, PartMissing
from interlock.runtime.process import Identity


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="il-") as name:
        yield Path(name) / "bus"


def test_it_answers_keeps_its_data_and_opens_no_port(folder: Path) -> None:
    server = EmbeddedServer.start(folder)
    bus = Bus.connect(server.url)
    bus.command("SET", "a", "1")
    assert bus.command("CONFIG", "GET", "port") in ([b"port", b"0"], {b"port": b"0"})
    assert folder.stat().st_mode & 0o077 == 0
    server.close()
    assert not server.alive()
    server.run()
    assert bus.command("GET", "a") == b"1"
    server.close()
    bus.close()


def test_it_dies_with_a_process_that_was_killed(folder: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from interlock.bus.embedded import EmbeddedServer;"
        "s = EmbeddedServer.start(Path(sys.argv[1])); print(s.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE)
    server = Identity.of(int(owner.stdout.readline()))
    assert server is not None
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 5
    while server.alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(BusUnavailable, match="shorter folder"):
        EmbeddedServer.start(tmp_path / ("x" * 120))


def test_a_binary_that_is_no_server_names_the_remedies(folder: Path) -> None:
    with pytest.raises(PartMissing):
        EmbeddedServer.start(folder, binary=os.devnull)
