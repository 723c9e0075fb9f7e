"""The leash, and the supervisor upon it, with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.errors import InterlockError
from interlock.runtime.process import Identity
from interlock_demo import launcher as launcher_module
from interlock_demo.launcher import Launcher
from interlock_demo.supervisor import Spec, Supervisor

# As nginx does: a master of its own session with a worker; both say who they are.
_DAEMON = """
import os, pathlib, sys, time
if os.fork() == 0:
    os.setsid()
    child = os.fork()
    if child:
        pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child}")
    time.sleep(60)
if sys.argv[2:] != ["leave"]:
    time.sleep(60)
"""
_SLEEP = "import time; time.sleep(60)"


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *arguments]


def _until(condition: Callable[[], object], timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def _children(of: int) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == of and state != "Z":
                found.add(int(stat.parent.name))
    return found


def _family(path: Path) -> list[Identity]:
    _until(lambda: path.exists() and len(path.read_text().split()) == 2)
    found = [Identity.of(int(word)) for word in path.read_text().split()]
    assert all(found)
    return [identity for identity in found if identity]


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    made = Launcher(remove=[tmp_path / "socket", tmp_path / "folder"])
    yield made
    made.close()


def test_what_lost_its_parent_ends_with_the_leash(launcher: Launcher, tmp_path: Path) -> None:
    program = launcher.start("daemon", _python(_DAEMON, str(tmp_path / "pids"), "leave"), log=tmp_path / "log")
    family = _family(tmp_path / "pids")
    assert program.wait(5) == 0
    assert all(identity.alive() for identity in family)
    launcher.close()
    assert not any(identity.alive() for identity in family)


def test_the_leash_acts_when_its_holder_is_killed(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from interlock_demo.launcher import Launcher\n"
        "tmp = Path(sys.argv[1]); launcher = Launcher(remove=[tmp / 'socket', tmp / 'folder'])\n"
        "launcher.start('daemon', sys.argv[2:], log=tmp / 'log'); time.sleep(60)"
    )
    (tmp_path / "socket").touch()
    (tmp_path / "folder" / "below").mkdir(parents=True)
    daemon = _python(_DAEMON, str(tmp_path / "pids"))
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", holder, str(tmp_path), *daemon])
    try:
        family = _family(tmp_path / "pids")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    _until(lambda: not any(identity.alive() for identity in family))
    _until(lambda: not (tmp_path / "socket").exists() and not (tmp_path / "folder").exists())


def test_a_program_has_a_status_and_a_log(launcher: Launcher, tmp_path: Path) -> None:
    program = launcher.start("one", _python("print('said'); raise SystemExit(3)"), log=tmp_path / "log")
    assert program.wait(5) == 3
    assert not program.alive()
    assert (tmp_path / "log").read_text() == "said\n"
    killed = launcher.start("two", _python(_SLEEP), log=tmp_path / "log")
    assert killed.signal(signal.SIGKILL)
    assert killed.wait(5) == -signal.SIGKILL
    assert not killed.signal(signal.SIGTERM)


def test_a_program_that_is_not_there_is_refused(launcher: Launcher, tmp_path: Path) -> None:
    with pytest.raises(InterlockError, match=r"nothing could not be started: .*No such file"):
        launcher.start("nothing", [str(tmp_path / "absent")], log=tmp_path / "log")


def test_a_late_answer_is_not_taken_for_the_next_program(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher_module, "_ANSWER_WITHIN", 0.2)
    os.kill(launcher.pid, signal.SIGSTOP)
    try:
        with pytest.raises(InterlockError, match="late could not be started: the leash does not answer"):
            launcher.start("late", _python(_SLEEP), log=tmp_path / "log")
    finally:
        os.kill(launcher.pid, signal.SIGCONT)
    monkeypatch.undo()
    next_one = launcher.start("next", _python("print('next', flush=True);" + _SLEEP), log=tmp_path / "log")
    assert next_one.name == "next"
    _until(lambda: b"next" in Path(f"/proc/{next_one.pid}/cmdline").read_bytes())
    _until(lambda: _children(launcher.pid) == {next_one.pid})
    assert next_one.stop() == -signal.SIGTERM


def test_a_killed_leash_is_noticed(launcher: Launcher, tmp_path: Path) -> None:
    program = launcher.start("one", _python(_SLEEP), log=tmp_path / "log")
    os.kill(launcher.pid, signal.SIGKILL)
    assert launcher.lost.wait(5)
    with pytest.raises(InterlockError, match="leash"):
        launcher.start("two", _python(_SLEEP), log=tmp_path / "log")
    assert program.identity is not None
    assert program.identity.send_signal(signal.SIGKILL)


def test_programs_ignore_no_signal_that_the_leash_ignores(launcher: Launcher, tmp_path: Path) -> None:
    program = launcher.start("one", _python(_SLEEP), log=tmp_path / "log")
    program.signal(signal.SIGHUP)
    assert program.wait(5) == -signal.SIGHUP


def _spec(code: str, name: str = "one") -> Spec:
    return Spec(name=name, argv=_python(code), env=dict(os.environ))


def test_a_program_that_dies_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "logs", say=said.append)
    try:
        first = supervisor.add(_spec(_SLEEP))
        first.signal(signal.SIGKILL)
        _until(lambda: (now := supervisor.program("one")) is not None and now is not first and now.alive())
        assert said == [f"one was ended by SIGKILL; starting it again in 0.2 s (log: {tmp_path / 'logs' / 'one.log'})"]
        supervisor.kill("one")
        time.sleep(0.5)
        assert len(said) == 1, "what was killed on purpose stays down"
    finally:
        supervisor.close()


def test_waits_grow_while_a_program_keeps_failing(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "logs", say=said.append)
    try:
        supervisor.add(_spec("raise SystemExit('the reason')"))
        _until(lambda: len(said) == 3)
        assert [line.split(" in ")[1].split(" s ")[0] for line in said] == ["0.2", "0.4", "0.8"]
        assert supervisor.failures("one") == 3
        assert supervisor.last_words("one").splitlines()[-1] == "the reason"
    finally:
        supervisor.close()


_POLITE = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(7))\nprint(1, flush=True)\ntime.sleep(60)"
_DEAF = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(1, flush=True)\ntime.sleep(60)"


def test_closing_asks_first_and_kills_then(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs", restart=False)
    polite = supervisor.add(_spec(_POLITE, "polite"))
    deaf = supervisor.add(_spec(_DEAF, "deaf"))
    _until(lambda: all(supervisor.log(name).read_text() for name in ("polite", "deaf")))
    supervisor.close(timeout=0.5)
    assert polite.status == 7
    assert deaf.identity is not None
    assert not deaf.identity.alive()
