"""Private sockets of a running HAProxy that somebody removes: told, made anew by a reload, and no request fails."""

from __future__ import annotations

import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from interlock.errors import NotInPlace
from interlock_extension.haproxy.render import HANDOVER_SOCKET, RUNTIME_SOCKET, STATUS_SOCKET
from interlock_extension.haproxy.sockets import NAMES, numbered, numbers
from support.extension_lab import WorkerLab
from support.haproxy_control import HOST, Lab, haproxy_control, texts
from support.haproxy_lab import each_haproxy
from support.nginx_lab import Backend, Idle, ask, endpoint, status_of, until, view
from support.ports import free_port

pytestmark = pytest.mark.chaos
Make = Callable[..., Backend]
SETS = [(STATUS_SOCKET,), (RUNTIME_SOCKET,), (HANDOVER_SOCKET,), (STATUS_SOCKET, RUNTIME_SOCKET), NAMES]
each_set = pytest.mark.parametrize("names", SETS, ids="+".join)


@pytest.fixture
def lab(tmp_path: Path, haproxy_binary: str) -> Iterator[Lab]:
    with haproxy_control(tmp_path / "haproxy", haproxy_binary) as made:
        yield made


def asked_meanwhile(port: int, done: threading.Event) -> list[str]:
    """What 20 requests at least are answered, the last one after `done`."""
    found: list[str] = []
    while not done.is_set() or len(found) < 20:
        found.append(ask(port, HOST).text.split()[0])
    return found


@each_haproxy
@each_set
def test_a_socket_that_is_gone_is_told_and_made_anew_by_one_reload(lab: Lab, backend: Make, names) -> None:
    """And once more: the second time it is another name that is gone."""
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    for number, to in ((1, two), (2, one)):
        idle, pids = Idle(lab.port), lab.pids
        assert idle.request(HOST)
        for name in names:
            (lab.folder / name).resolve().unlink()
        with pytest.raises(NotInPlace) as caught:
            lab.control.probe()
        with pytest.raises(NotInPlace) as also:
            lab.update(view(HOST, to.port))
        assert (caught.value.what, also.value.what) == ("sockets", "sockets")
        assert all(str(lab.folder / name) in str(also.value) for name in names)
        with capture_logs() as log:
            lab.reload(view(HOST, to.port))
        told = [line for line in log if "private sockets" in line["event"]]
        assert [line["sockets"] for line in told] == [
            ", ".join(str(lab.folder / name) for name in NAMES if name in names)
        ]
        # The old worker, on a connection that was idle, too.
        assert {idle.request(HOST).split()[0]} == texts(lab) == {to.name}
        idle.close()
        assert lab.control.probe() is True
        reloaded = lab.control.tend()["reloads"]
        lab.update(view("b.example", one.port))
        lab.update(gone=("b.example",))
        assert lab.control.tend()["reloads"] == reloaded == number
        assert pids[0] == lab.pids[0]
        assert lab.control.installed() == lab.files


@each_haproxy
def test_a_link_that_is_gone_needs_no_reload(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    (lab.folder / STATUS_SOCKET).unlink()
    lab.reload(view(HOST, two.port))
    (lab.folder / STATUS_SOCKET).unlink()
    assert lab.control.probe() is True
    lab.update(view(HOST, one.port))
    assert (lab.control.probe(), texts(lab)) == (True, {"one"})


@each_haproxy
def test_a_socket_at_which_nobody_listens_is_as_good_as_none(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    (lab.folder / RUNTIME_SOCKET).unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(lab.folder / RUNTIME_SOCKET))
    with pytest.raises(NotInPlace, match=RUNTIME_SOCKET):
        lab.update(view(HOST, two.port))
    lab.reload(view(HOST, two.port))
    lab.update(view(HOST, one.port))
    assert texts(lab) == {"one"}


@each_haproxy
@each_set
def test_the_next_worker_adopts_it_without_its_sockets(lab: Lab, backend: Make, names) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    master = lab.control.pid
    lab.control.leave()
    for name in names:
        (lab.folder / name).unlink()
    done, found = threading.Event(), []
    asking = threading.Thread(target=lambda: found.extend(asked_meanwhile(lab.port, done)))
    asking.start()
    try:
        lab.open()
        assert lab.control.start(lab.files) == "adopted"
        # By either of the two it says what it runs.
        assert (lab.control.installed() == lab.files) is not ({STATUS_SOCKET, RUNTIME_SOCKET} <= set(names))
        lab.control.apply_snapshot({**lab.files, **lab.change(view(HOST, two.port)).files}, "next")
    finally:
        done.set()
        asking.join()
    assert set(found) <= {"one", "two"}
    assert (lab.control.pid, lab.control.probe(), texts(lab)) == (master, True, {"two"})


@each_haproxy
def test_names_outlive_the_worker_and_haproxy(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    for name in NAMES:
        (lab.folder / name).unlink()
    lab.reload(view(HOST, two.port))
    lab.control.leave()
    lab.open()
    assert lab.control.start(lab.files) == "adopted"
    assert lab.control.installed() == lab.files
    lab.update(view(HOST, one.port))
    os.kill(lab.control.pid, signal.SIGKILL)
    until(lambda: not lab.control.alive(), "it is dead")
    for name in NAMES:
        (lab.folder / name).unlink()
    assert lab.control.start(lab.files) == "started"
    lab.update(view(HOST, two.port))
    assert (lab.control.probe(), texts(lab)) == (True, {"two"})


@each_haproxy
def test_one_that_does_not_answer_is_not_said_to_have_been_reloaded(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    worker = next(pid for pid in lab.pids if pid != lab.control.pid)
    os.kill(worker, signal.SIGSTOP)
    try:
        until(lambda: ") T " in Path(f"/proc/{worker}/stat").read_text(), "it stands still")
        with pytest.raises(NotInPlace, match="does not answer") as caught:
            lab.update(view(HOST, two.port))
    finally:
        os.kill(worker, signal.SIGCONT)
    assert caught.value.what == "silent"
    assert texts(lab) == {"one"}


def test_a_worker_mends_it_without_a_change_and_says_why(tmp_path: Path, backend: Make) -> None:
    lab, port = WorkerLab(tmp_path), free_port()
    lab.told = ("--extension", "haproxy")
    try:
        lab.spawn("--metrics", f"127.0.0.1:{port}")
        lab.until_runs(lab.serve({"a.example": (endpoint(backend("one").port, "t1"),)}))
        until(lambda: status_of(lab.port, "a.example") == 200, "the endpoint is admitted")
        path = next(tmp_path.rglob(STATUS_SOCKET))
        path.unlink()
        until(path.exists, "it is made anew")

        def said() -> bool:
            outcome = lab.outcome()
            return outcome is not None and str(path) in outcome.reason

        until(said, "the outcome names the file")
        until(lambda: 'proxy_reloads_total{why="sockets"} 1.0' in page(port), "so does the metric")
        assert 'why="drift"' not in page(port)
    finally:
        if lab.process:
            lab.terminate()
        lab.close()


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def test_only_names_of_sockets_change_in_a_main_file() -> None:
    main = (
        b"bind unix@status.sock mode 600\nstats socket unix@runtime.3.sock\nbind unix@mine.sock\n"
        b"# status.sock\nserver newest unix@handover.sock\n"
    )
    assert numbers(main) == {RUNTIME_SOCKET: 3}
    other = numbered(main, {STATUS_SOCKET: 2, HANDOVER_SOCKET: 1})
    assert other == main.replace(b"@status", b"@status.2").replace(b"runtime.3", b"runtime")
    assert numbered(other, numbers(main)) == main
