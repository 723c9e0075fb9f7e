"""The init of our containers, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.runtime.init import Init, Program
from interlock.runtime.process import Identity
from support.nginx_lab import until

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run(script: str) -> subprocess.Popen[str]:
        (tmp_path / "program.py").write_text(script)
        command = [sys.executable, "-m", "interlock.runtime.init", sys.executable, str(tmp_path / "program.py")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def complaints(init: subprocess.Popen[str]) -> str:
    assert init.stderr is not None
    return init.stderr.read()


COUNTING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open("ended", "w").close(), sys.exit(0)))
open(f"run-{os.getpid()}", "w").close()
while True:
    time.sleep(0.05)  # a signal just before a long sleep would wait for its end
"""


def runs(folder: Path) -> int:
    return len(list(folder.glob("run-*")))


def test_a_program_that_dies_is_started_again(start: Start, tmp_path: Path) -> None:
    init = start(COUNTING)
    until(lambda: runs(tmp_path) == 1, "the program has run")
    os.kill(children(init.pid)[0], signal.SIGKILL)
    until(lambda: runs(tmp_path) == 2, "the program has run")
    init.send_signal(signal.SIGTERM)
    assert init.wait(10) == 0
    assert (tmp_path / "ended").exists()
    assert "signal 9" in complaints(init)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_any_polite_signal_ends_it_in_order(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    init = start(COUNTING)
    until(lambda: runs(tmp_path) == 1, "the program has run")
    init.send_signal(number)
    assert init.wait(10) == 0
    assert (tmp_path / "ended").exists()


def test_what_refuses_its_settings_is_not_tried_again(start: Start) -> None:
    init = start("import sys; sys.exit(2)")
    assert init.wait(10) == 2
    assert "refuses its settings" in complaints(init)


ORPHANING = """
import os, subprocess, sys, time
first = not os.path.exists("orphan")
if first:
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    open("orphan", "w").write(str(orphan.pid))
    os._exit(1)
open("second", "w").close()
time.sleep(60)
"""


def test_what_a_program_leaves_behind_lives_on_and_ends_with_us(start: Start, tmp_path: Path) -> None:
    init = start(ORPHANING)
    until(lambda: (tmp_path / "second").exists(), "the program has run")
    orphan = Identity.of(int((tmp_path / "orphan").read_text()))
    assert orphan is not None
    assert orphan.pid in children(init.pid)
    init.send_signal(signal.SIGTERM)
    assert init.wait(10) == 0
    assert not orphan.alive()


def test_no_zombie_is_left(start: Start, tmp_path: Path) -> None:
    init = start(COUNTING + "\n")
    until(lambda: runs(tmp_path) == 1, "the program has run")
    for _ in range(2):
        before = runs(tmp_path)
        os.kill(children(init.pid)[0], signal.SIGKILL)
        until(lambda before=before: runs(tmp_path) > before, "the program has run")
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in children(init.pid)]
    assert "Z" not in states
    init.send_signal(signal.SIGTERM)
    init.wait(10)


def test_a_stubborn_program_is_killed_in_time() -> None:
    script = (
        "import sys\n"
        "from interlock.runtime.init import Init, Program\n"
        "stubborn = 'import signal, time; signal.signal(15, signal.SIG_IGN); signal.signal(3, signal.SIG_IGN); "
        "print(1, flush=True); time.sleep(60)'\n"
        "sys.exit(Init([Program([sys.executable, '-c', stubborn])], stop_timeout=1.0).run())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as init:
        assert init.stdout is not None
        init.stdout.readline()
        began = time.monotonic()
        init.send_signal(signal.SIGTERM)
        assert init.wait(10) == 0
        assert time.monotonic() - began < 8


@pytest.mark.root
def test_each_program_has_its_user(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from interlock.runtime.init import Init, Program, User\n"
        "say = 'id -u; id -g; id -G; exit 2'\n"
        "sys.exit(Init([Program(['/bin/sh', '-c', say], user=User(65532, 65533, (107,)))]).run())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=20)
    assert done.stdout == "65532\n65533\n65533 107\n", done.stderr


def test_a_fork_that_fails_takes_nobody_along(tmp_path: Path) -> None:
    """Memory or process ids are short: what serves goes on, and the program comes when there is room again."""
    script = (
        "import os, sys\n"
        "from interlock.runtime import init\n"
        "fork, left = os.fork, [OSError(11, 'no room'), OSError(11, 'no room')]\n"
        "def poor():\n"
        "    if left: raise left.pop()\n"
        "    return fork()\n"
        "os.fork = poor\n"
        "sys.exit(init.Init([init.Program(['/bin/sh', '-c', 'echo here; exec sleep 60'])]).run())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as init:
        assert init.stdout is not None
        assert init.stdout.readline() == b"here\n"
        init.send_signal(signal.SIGTERM)
        assert init.wait(10) == 0


REFUSING_LATER = """
import os, signal, sys, time
first = not os.path.exists("ran")
open("ran", "a").write("x")
if first:
    os.kill(os.getpid(), signal.SIGKILL)
if len(open("ran").read()) == 2:
    sys.exit(2)
time.sleep(60)
"""


def test_a_program_that_has_run_before_is_started_again_whatever_it_says(start: Start, tmp_path: Path) -> None:
    """Status 2 after a crash is the machine's trouble, not the settings': they have not changed."""
    init = start(REFUSING_LATER)
    until(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text() == "xxx", "it runs a third time")
    assert init.poll() is None
    init.send_signal(signal.SIGTERM)
    assert init.wait(10) == 0


def test_all_programs_of_one_init_are_told_that_they_belong_together(start: Start, tmp_path: Path) -> None:
    init = start("import os; open('word', 'w').write(os.environ['INTERLOCK_CONTAINER']); import time; time.sleep(60)")
    until(lambda: (tmp_path / "word").exists() and len((tmp_path / "word").read_text()) == 16, "it was told a word")
    init.send_signal(signal.SIGTERM)
    init.wait(10)


def test_a_program_that_ends_for_hours_does_not_end_init(capfd: pytest.CaptureFixture[str]) -> None:
    program = Program(["true"], tries=5_000)
    Init([program])._later(program, "ended")
    assert "starting it again in 5 s" in capfd.readouterr().err


HAPROXY = f"""#!{sys.executable}
import signal, sys, time
signal.signal(signal.SIGQUIT, signal.SIG_IGN)  # HAProxy reports its memory and goes on
signal.signal(signal.SIGUSR1, lambda *_: (open("finished", "w").close(), sys.exit(0)))
open("ready", "w").close()
while True:
    time.sleep(0.05)
"""


def test_each_kind_of_proxy_left_behind_is_ended_by_its_own_signal(start: Start, tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.write_text(HAPROXY)
    program.chmod(0o755)
    left = '[sys.executable, "-c", "import time; time.sleep(60)"]'
    assert left in ORPHANING
    init = start(ORPHANING.replace(left, '["./haproxy"]'))
    until(lambda: (tmp_path / "second").exists() and (tmp_path / "ready").exists(), "both have run")
    init.send_signal(signal.SIGTERM)
    assert init.wait(10) == 0
    assert (tmp_path / "finished").exists()
