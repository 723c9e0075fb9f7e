"""`interlock demo` as a user has it: in a pipe, in a terminal, killed in every way; nothing may stay."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from interlock.runtime.process import Identity
from interlock_demo.place import Place, free_port, listen
from support.pipeline import mentioning

INTERLOCK = str(Path(sys.executable).parent / "interlock")
READY = "Open http://"
MOST_SECONDS_TO_TABLE = 20.0
"""Five on a machine of one's own; this one may be doing something else."""


def _until(condition: Callable[[], object], what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Demo:
    """One run dir; `start` runs `interlock demo up` in it, in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Below the ports that the kernel gives to clients, one of which could meet itself there.
        self.port = free_port(20_000 + os.getpid() % 10_000)
        self.output = folder / "output.txt"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("INTERLOCK_")}
        self.env |= {"INTERLOCK_RUN_DIR": str(folder / "run"), "COLUMNS": "200"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, env: Mapping[str, str] | None = None, **options: object) -> subprocess.Popen[bytes]:
        assert self.process is None
        with self.output.open("wb") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **options}
            self.process = subprocess.Popen(
                [INTERLOCK, "demo", "up", "--port", str(self.port)],
                env={**self.env, **(env or {})},
                start_new_session=True,
                **streams,  # type: ignore[call-overload]  # streams
            )
        assert self.process is not None
        return self.process

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, pattern: str, timeout: float = 15.0) -> None:
        def there() -> bool:
            assert self.process is not None
            assert self.process.poll() is None or re.search(pattern, self.said()), self.said()
            return re.search(pattern, self.said()) is not None

        try:
            _until(there, pattern, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from error

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in another terminal."""
        argv = [INTERLOCK, *words]
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=30, check=False)

    def pids(self) -> set[int]:
        """Of everything that belongs to it, nginx's workers by their folder."""
        return set(mentioning(self.folder))

    def reap(self, timeout: float = 15.0) -> int:
        assert self.process is not None
        status = self.process.wait(timeout)
        self.process = None
        return status

    def nothing_stays(self, timeout: float = 6.0) -> None:
        def gone() -> bool:
            return not self.pids() and not _accepts(self.port)

        _until(gone, "no process and no port is left", timeout)
        run = self.folder / "run"
        _until(lambda: {path.name for path in run.iterdir()} <= {"lock", "logs"}, f"{list(run.iterdir())}", 2.0)


@pytest.fixture
def demo() -> Iterator[Demo]:
    # Short: unix sockets lie in it.
    folder = Path(tempfile.mkdtemp(prefix="ild-"))
    made = Demo(folder)
    yield made
    for pid in made.pids():
        if identity := Identity.of(pid):
            identity.send_signal(signal.SIGKILL)
    if made.process is not None:
        made.process.kill()
        made.process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def test_without_a_terminal_the_story_is_told_in_plain_lines(demo: Demo) -> None:
    began = time.monotonic()
    process = demo.start()
    demo.wait_for(r"load \d+/s", MOST_SECONDS_TO_TABLE)
    took = time.monotonic() - began
    assert took < MOST_SECONDS_TO_TABLE
    second = demo.type("demo", "up", "--port", str(demo.port))
    assert (second.returncode, second.stderr) == (0, "")
    assert f"runs already at http://shop.localhost:{demo.port}/ (pid {process.pid})" in second.stdout
    assert "demo down" in second.stdout
    times = r"\(.*Docker \d+, bus \d+, plan \d+, (wait \d+, )?nginx \d+\) · 0 of [\d,]+ requests failed"
    demo.wait_for(rf"shop 2 → 4: .*effective in .* ms {times}", 25)
    demo.wait_for(rf"blog rolled: .*effective in .* ms {times}", 45)
    demo.wait_for(r"Your own Swarm: .*interlock watcher --docker")
    assert "demo break shop" in demo.said()

    assert demo.type("demo", "scale", "shop", "5").returncode == 0
    demo.wait_for(r"shop, \d → 5 endpoints: .*effective in")
    assert demo.type("demo", "break", "shop").returncode == 0
    demo.wait_for(r"error: shop: com\.docker\.lb\.hosts='www shop\.localhost': .*commas")
    assert demo.type("demo", "mend", "shop").returncode == 0
    demo.wait_for(r"shop: com\.docker\.lb\.hosts is right again")
    assert demo.type("demo", "crash", "shop").returncode == 0
    demo.wait_for(r"shop, (5 → 4 endpoints|\d of 5 endpoints replaced)")
    unknown = demo.type("demo", "scale", "shoe", "5")
    assert unknown.returncode == 2
    assert "there are shop, api, blog" in unknown.stderr
    assert "shop" in demo.type("routes").stdout, "the bus is announced to other terminals"

    # Ctrl-C, as a terminal sends it to its foreground group.
    os.killpg(process.pid, signal.SIGINT)
    assert demo.reap() == 0
    demo.nothing_stays()
    assert "\x1b" not in demo.said()
    assert demo.said().splitlines()[-1].startswith("Stopped")


def _kill_demo(demo: Demo, process: subprocess.Popen[bytes]) -> None:
    process.kill()


def _kill_group(demo: Demo, process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def _kill_worker_and_demo(demo: Demo, process: subprocess.Popen[bytes]) -> None:
    """nginx survives its worker, as it must, and has no parent any more when the demo goes."""
    [worker] = [pid for pid in demo.pids() if "interlock-extension" in _command_line(pid)]
    os.kill(worker, signal.SIGKILL)
    process.kill()


def _kill_all_but_the_leash(demo: Demo, process: subprocess.Popen[bytes]) -> None:
    """nginx's master among them: its workers are orphans that hold the port."""
    for pid in demo.pids():
        line = _command_line(pid)
        if "leash.py" not in line and "nginx: worker" not in line:
            os.kill(pid, signal.SIGKILL)
    process.kill()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _leash_of(pid: int) -> int:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((path / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            if parent == pid and "leash.py" in _command_line(int(path.name)):
                return int(path.name)
    raise AssertionError("the demo has no leash")


@pytest.mark.parametrize("kill", [_kill_demo, _kill_group, _kill_worker_and_demo, _kill_all_but_the_leash])
def test_killed_hard_nothing_stays_and_the_next_one_starts(
    demo: Demo, kill: Callable[[Demo, subprocess.Popen[bytes]], None]
) -> None:
    process = demo.start()
    demo.wait_for(READY, MOST_SECONDS_TO_TABLE)
    assert _accepts(demo.port)
    kill(demo, process)
    demo.reap()
    # At once, while the leash is still at work: the lock of the killed one is no obstacle.
    place = Place(demo.folder / "run")
    assert place.take()
    assert not _accepts(demo.port), "the place was free before the port was"
    place.release()
    demo.nothing_stays()


def test_even_without_its_leash_it_leaves_nothing(demo: Demo) -> None:
    process = demo.start()
    demo.wait_for(r"load \d+/s", MOST_SECONDS_TO_TABLE)
    os.kill(_leash_of(process.pid), signal.SIGKILL)
    assert demo.reap() == 2
    demo.nothing_stays()
    assert "the leash of the demo was killed" in demo.said()


def test_it_ends_with_make_and_takes_the_next_port(demo: Demo) -> None:
    """As the Makefile starts it: make's pid in the environment, make the parent."""
    script = f"INTERLOCK_STOP_WITH_PARENT=$$ {INTERLOCK} demo up --port {demo.port}; true"
    with socket.create_server(("127.0.0.1", demo.port)), demo.output.open("wb") as output:
        demo.process = subprocess.Popen(
            ["/bin/sh", "-c", script], env=demo.env, stdout=output, stderr=output, start_new_session=True
        )
        demo.wait_for(READY, MOST_SECONDS_TO_TABLE)
        used = re.search(r"Open http://shop.localhost:(\d+)/", demo.said())
        assert used is not None
        assert f"Port {demo.port} is taken; the demo uses {used[1]}." in demo.said()
        assert _accepts(int(used[1]))
    demo.process.kill()
    demo.reap()
    demo.port = int(used[1])
    demo.nothing_stays(10)


def test_in_a_terminal_a_table_lives_and_a_dead_service_comes_back(demo: Demo) -> None:
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    process = demo.start(env={"TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""

    def shows(text: str) -> bool:
        nonlocal seen
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(ours, 65536):
                seen += data
        return text.encode() in seen

    try:
        _until(lambda: shows("requests failed"), "a live table", MOST_SECONDS_TO_TABLE)
        assert shows("\x1b[")
        assert shows("nginx (extension)")
        [watcher] = [pid for pid in demo.pids() if "interlock-watcher" in _command_line(pid)]
        os.kill(watcher, signal.SIGKILL)
        _until(lambda: shows("watcher was ended by SIGKILL; starting it again"), "what happened", 5)
        _until(lambda: any("interlock-watcher" in _command_line(p) for p in demo.pids() - {watcher}), "a new one", 5)
        assert demo.type("demo", "down").stdout == "the demo is stopped\n"
        _until(lambda: shows("Stopped") and process.poll() is not None, "the end", 15)
    finally:
        os.close(ours)
    assert demo.reap() == 0
    demo.nothing_stays()


def test_without_a_demo_the_commands_say_how_to_start_one(demo: Demo) -> None:
    done = demo.type("demo", "scale", "shop", "5")
    assert done.returncode == 2
    assert "demo up" in done.stderr
    assert demo.type("demo", "down").stdout == "no demo runs here\n"


def test_a_folder_of_somebody_else_is_refused(demo: Demo) -> None:
    (demo.folder / "theirs").mkdir()
    (demo.folder / "run").symlink_to(demo.folder / "theirs")
    process = demo.start()
    assert process.wait(20) == 2
    demo.process = None
    assert "is not a folder of yours" in demo.said()
    assert list((demo.folder / "theirs").iterdir()) == []


def test_addresses_are_written_as_the_worker_takes_them() -> None:
    assert listen(81)[0] == "127.0.0.1:81"
    assert all(re.fullmatch(r"(127\.0\.0\.1|\[::1\]):81", text) for text in listen(81))
