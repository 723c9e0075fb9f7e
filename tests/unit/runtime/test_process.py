"""Programs: found in order, started, stopped, and dead with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from interlock.errors import InterlockError, PartMissing
from interlock.runtime import parts
from interlock.runtime.process import Identity, Process

SLEEP = ["/bin/sleep", "60"]


def read_all(descriptor: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += os.read(descriptor, count - len(data))
    return data


def script(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("die_with_parent", [True, False])
def test_start_and_stop(die_with_parent: bool) -> None:
    process = Process.start(SLEEP, die_with_parent=die_with_parent)
    assert process.alive()
    identity = process.identity()
    assert identity
    assert identity.alive()
    assert process.wait(0.01) is None
    assert process.stop() == -signal.SIGTERM
    assert not process.alive()
    assert not identity.alive()
    assert process.identity() is None


def test_one_that_ignores_sigterm_is_killed() -> None:
    code = "import signal,time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    read, write = os.pipe()
    process = Process.start([sys.executable, "-c", code], stdout=write)
    os.close(write)
    assert read_all(read, 2) == b"1\n"
    os.close(read)
    assert process.stop(0.05) == -signal.SIGKILL


def test_a_child_outlives_the_thread_that_asked_for_it() -> None:
    made: list[Process] = []

    def start() -> None:
        process = Process.start(SLEEP)
        made.append(process)
        # Only a program that has asked for the signal would get it at the end of the thread.
        end = time.monotonic() + 5
        while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
            assert time.monotonic() < end
            time.sleep(0.01)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    [process] = made
    assert process.wait(0.3) is None
    process.stop()


def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    code = (
        "import os\nfrom interlock.runtime.process import Process\n"
        f"p = Process.start({SLEEP!r})\nprint(p.pid, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    pid = int(done.stdout)
    end = time.monotonic() + 5
    while Identity.of(pid) is not None:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_another_process_with_the_pid_is_never_signalled() -> None:
    process = Process.start(SLEEP)
    identity = process.identity()
    assert identity
    assert not Identity(identity.pid, identity.started + 1).send_signal(signal.SIGKILL)
    assert process.wait(0.1) is None
    assert identity.send_signal(signal.SIGKILL)
    assert process.wait(5) == -signal.SIGKILL
    assert not identity.send_signal(signal.SIGKILL)


def test_what_cannot_be_started() -> None:
    with pytest.raises(InterlockError, match="could not be started"):
        Process.start(["/no/such/program"], die_with_parent=False)


def test_a_given_path_comes_first_and_is_not_replaced(tmp_path: Path) -> None:
    good = script(tmp_path, "mine", "Redis server v=7.2.5 sha=0")
    part = parts.find_redis_server(str(good))
    assert (part.path, part.version, part.origin) == (good, (7, 2, 5), "given")
    old = script(tmp_path, "old", "Redis server v=6.2.5 sha=0")
    with pytest.raises(PartMissing, match=r"6\.2\.5 is older than 7\.0"):
        parts.find_redis_server(str(old))
    with pytest.raises(PartMissing, match="not an executable"):
        parts.find_redis_server(str(tmp_path / "none"))
    lame = script(tmp_path, "lame", "libgcc_s.so.1 must be installed\nAborted")
    with pytest.raises(PartMissing, match=r"lame: not a Redis .*it says 'libgcc_s\.so\.1 must be installed';"):
        parts.find_redis_server(str(lame))


def test_the_system_s_before_the_wheel_and_an_old_one_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    script(tmp_path, "nginx", "nginx version: nginx/1.22.1")
    part = parts.find_nginx()
    assert part.origin == "wheel"
    assert part.version >= parts.NGINX_FLOOR
    script(tmp_path, "nginx", "nginx version: nginx/1.29.0")
    part = parts.find_nginx()
    assert (part.origin, part.path) == ("system", tmp_path / "nginx")


def test_haproxy_the_system_s_or_the_wheel_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    script(tmp_path, "haproxy", "HAProxy version 2.4.22-0ubuntu 2023/08/14 - https://haproxy.org/")
    part = parts.find_haproxy()
    assert part.origin == "wheel"
    assert part.version >= parts.HAPROXY_FLOOR
    for said, version in {"2.6.12-1+deb12u4 2026/10/17": (2, 6, 12), "3.2-dev5": (3, 2, 0)}.items():
        script(tmp_path, "haproxy", f"HAProxy version {said}")
        part = parts.find_haproxy()
        assert (part.origin, part.path, part.version) == ("system", tmp_path / "haproxy", version)


def test_what_is_missing_names_every_remedy(tmp_path: Path) -> None:
    kind = parts.Kind(
        title="thing", names=("no-such-thing",), ask=("-v",), check=lambda _said: None, floor=(1,),
        wheel=lambda: None, remedies="Do this or that.",
    )  # fmt: skip
    with pytest.raises(PartMissing, match=r"no no-such-thing on PATH.*Do this or that"):
        parts.find(kind)
