"""Our HAProxy changed in place, reloaded, proven, adopted, refused, killed: with real ones of both ages."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlock.errors import ConfigError, ConfigRejected, NotInPlace, ProxyUnavailable
from interlock.runtime.process import Identity
from interlock_extension.haproxy import family
from interlock_extension.haproxy.control import HaproxyControl
from interlock_extension.haproxy.master import Reloads
from interlock_extension.machine.generations import Bounds
from interlock_extension.port import HostView
from support.haproxy_control import HOST, Lab, haproxy_control, texts
from support.haproxy_lab import each_haproxy
from support.haproxy_state import state_of
from support.nginx_lab import Backend, Idle, ask, until, view
from support.websocket import opened, websocket_backend

Make = Callable[..., Backend]

pytestmark = each_haproxy


@pytest.fixture
def lab(tmp_path: Path, haproxy_binary: str) -> Iterator[Lab]:
    with haproxy_control(tmp_path / "haproxy", haproxy_binary) as made:
        yield made


def test_a_change_in_place_is_in_effect_when_it_is_proven(lab: Lab, backend: Make) -> None:
    """Also on connections that were there before, and without another process."""
    one, two = backend("one"), backend("two")
    assert lab.start(view(HOST, one.port)) == "started"
    pids, idle = lab.pids, [Idle(lab.port) for _ in range(4)]
    for to in (two, one, two):
        assert {link.request(HOST).split()[0] for link in idle} == texts(lab)
        lab.update(view(HOST, to.port))
        assert {link.request(HOST).split()[0] for link in idle} == texts(lab) == {to.name}
    lab.update(view("b.example", one.port))
    assert texts(lab, "b.example") == {"one"}
    lab.update(gone=("b.example",))
    assert ask(lab.port, "b.example").status == 503
    assert lab.pids == pids
    assert lab.control.installed() == lab.files
    assert lab.control.tend()["reloads"] == 0
    for link in idle:
        link.close()


def test_a_proven_reload_sends_nothing_to_what_it_left_out(lab: Lab, backend: Make) -> None:
    """Not on a connection that was idle, and not on one that had not sent anything yet."""
    old, new = backend("old"), backend("new")
    lab.start(view(HOST, old.port))
    for before, after in ((old, new), (new, old), (old, new)):
        idle, silent = [Idle(lab.port) for _ in range(4)], [Idle(lab.port) for _ in range(4)]
        assert {link.request(HOST).split()[0] for link in idle} == {before.name}
        lab.reload(view(HOST, after.port))
        count = len(before.seen)
        assert {link.request(HOST).split()[0] for link in (*idle, *silent)} == {after.name}
        assert len(before.seen) == count
        for link in (*idle, *silent):
            link.close()
    # What is handed over says who the client is, and says it once.
    seen = new.seen[-1][2]
    assert (seen["x-real-ip"], seen["x-forwarded-for"]) == ("127.0.0.1", "127.0.0.1")
    until(lambda: lab.control.tend()["old_workers"] == 0, "old workers end")


def test_changes_and_reloads_under_load_lose_nothing(lab: Lab, backend: Make) -> None:
    pair = [backend("one"), backend("two")]
    lab.start(view(HOST, pair[0].port))
    stop, failed, done = threading.Event(), [], [0]

    def load(*, keep: bool) -> None:
        link = Idle(lab.port)
        while not stop.is_set():
            try:
                if keep:
                    good = link.request(HOST).endswith("GET / 0")
                    if link.ended:
                        link.close()
                        link = Idle(lab.port)
                else:
                    good = ask(lab.port, HOST, "/", "POST", b"x" * 1000).status == 200
            except (OSError, AssertionError) as error:
                good = False
                failed.append(repr(error))
            done[0] += 1
            if not good:
                failed.append("answer")
        link.close()

    threads = [threading.Thread(target=load, kwargs={"keep": keep}) for keep in (True, True, False)]
    for thread in threads:
        thread.start()
    for n in range(24):
        (lab.reload if n % 3 == 0 else lab.update)(view(HOST, *(each.port for each in pair[: 1 + n % 2])))
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed, failed[:5]
    assert done[0] > 100


def test_a_websocket_outlives_changes_and_reloads_and_holds_the_old_worker(lab: Lab, backend: Make) -> None:
    with websocket_backend() as (port, _):
        made = view(HOST, port)
        routes = tuple(
            type(route)(path=route.path, upstream=route.upstream, websockets=("/",)) for route in made.host.routes
        )
        lab.start(HostView(host=type(made.host)(host=HOST, routes=routes), upstreams=made.upstreams))
        with opened(lab.port, HOST, "/ws") as socket:
            lab.update(view("b.example", backend("b").port))
            lab.reload(view("c.example", backend("c").port))
            socket.send("still here")
            assert socket.recv(5) == "still here"
            assert lab.control.tend()["old_workers"] == 1
            # No memory for it: the old worker must end.
            lab.control._old.bounds = Bounds(memory=1)
            lab.control.tend()
            until(lambda: lab.control.tend()["old_workers"] == 0, "it is ended")
            assert lab.control.tend()["old_workers_ended"] == 1


def test_when_no_spare_is_left_nothing_is_changed(lab: Lab, backend: Make) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))
    hosts = [f"h{n}.example" for n in range(64)]
    lab.update(*(view(host, one.port) for host in hosts))
    before = lab.control.installed()
    with pytest.raises(NotInPlace, match="no spare backend") as caught:
        lab.update(view("more.example", one.port))
    assert caught.value.what == "spares"
    assert lab.control.installed() == before
    assert ask(lab.port, "more.example").status == 503
    lab.reload(view("more.example", one.port))
    assert texts(lab, "more.example") == texts(lab, hosts[-1]) == {"one"}
    lab.update(view("again.example", one.port))
    assert texts(lab, "again.example") == {"one"}


def test_a_refused_file_is_named_and_what_ran_before_runs_on(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    lab.update(view(HOST, two.port))
    before, running = lab.control.installed(), lab.control.witness()
    with pytest.raises(ConfigRejected, match="unknown keyword 'nonsense'") as caught:
        lab.control.apply_snapshot({"hosts/b.example.cfg": b"backend b\n    nonsense\n"}, "bad")
    assert caught.value.culprit == "hosts/b.example.cfg"
    assert (lab.control.installed(), lab.control.witness()) == (before, running)
    assert texts(lab) == {"two"}
    lab.update(view(HOST, one.port))
    assert texts(lab) == {"one"}


def test_checking_aside_names_the_file_and_touches_nothing(lab: Lab, backend: Make) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))
    good = lab.renderer.host(view("b.example", one.port))
    lab.control.check({"b.example": good})
    lab.control.check({})
    twice = good.replace(b"\n    server ", b"\n    server twice 127.0.0.1:1\n    server twice ", 1)
    with pytest.raises(ConfigRejected) as caught:
        lab.control.check({"b.example": twice, "c.example": lab.renderer.host(view("c.example", one.port))})
    assert caught.value.culprit == lab.renderer.file_of("b.example")
    assert lab.control.installed() == lab.files


def test_a_change_of_very_many_commands_is_left_to_a_reload(lab: Lab, backend: Make) -> None:
    """Before anything is sent or written; one of just so many is made in place."""
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    few, many = (view(HOST, two.port, *range(20_000, 20_000 + number)) for number in (1_998, 2_000))
    before, ran = lab.control.installed(), state_of(lab.folder)
    with pytest.raises(NotInPlace, match=r"4003 commands, and with more than 4000 a reload is quicker") as caught:
        lab.update(many)
    assert caught.value.what == "commands"
    assert (lab.control.installed(), state_of(lab.folder), lab.control.probe()) == (before, ran, True)
    assert lab.update(few).detail.startswith("3999 commands")
    lab.reload(many)
    assert len(state_of(lab.folder).routes["a.example/"][0].servers) == 2_001


def test_what_a_runtime_command_is_refused_a_reload_mends(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    # Somebody else has taken the entry away.
    lab.control._runtime._say("runtime.sock", "del map maps/routes.map a.example/\n")
    routed = view(HOST, two.port, path="/app", rewrite=True)
    with pytest.raises(ProxyUnavailable, match="Key not found"):
        lab.update(routed)
    with pytest.raises(NotInPlace):
        lab.update(routed)
    lab.reload(routed)
    assert ask(lab.port, HOST, "/app/x").text.split()[2] == "/x"


def test_killed_hard_it_comes_back_as_it_was(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    lab.update(view(HOST, two.port), view("b.example", one.port))
    os.kill(lab.control.pid, signal.SIGKILL)
    until(lambda: not lab.control.alive(), "it is dead")
    until(lambda: lab.control.probe() is None, "its workers end with it")
    assert lab.control.start(lab.files) == "started"
    assert (texts(lab), texts(lab, "b.example")) == ({"two"}, {"one"})
    lab.update(view(HOST, one.port))
    assert texts(lab) == {"one"}


@pytest.mark.parametrize("folder", ["hosts", "maps"])
def test_a_folder_that_somebody_removes_is_made_again(lab: Lab, backend: Make, folder: str) -> None:
    """At the next change, with what it held: a restart gives what runs."""
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port), view("b.example", one.port))
    shutil.rmtree(lab.folder / folder)
    lab.update(view(HOST, two.port))
    lab.reload(view("c.example", two.port))
    shutil.rmtree(lab.folder / folder)
    lab.update(view("c.example", one.port))
    until(lambda: lab.control.tend() and lab.control._unwritten is None, "the maps are written")
    os.kill(lab.control.pid, signal.SIGKILL)
    until(lambda: not lab.control.alive(), "it is dead")
    assert lab.control.start(lab.files) == "started"
    assert [texts(lab, host) for host in (HOST, "b.example", "c.example")] == [{"two"}, {"one"}, {"one"}]


def test_a_restarted_worker_adopts_it_and_changes_it_in_place(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    lab.update(view("b.example", one.port))
    pid = lab.control.pid
    lab.control.leave()
    lab.open()
    assert lab.control.start(lab.files) == "adopted"
    assert (lab.control.pid, lab.control.probe()) == (pid, True)
    assert lab.control.installed() == lab.files
    lab.update(view("b.example", two.port), view("c.example", two.port))
    assert (texts(lab), texts(lab, "b.example"), texts(lab, "c.example")) == ({"one"}, {"two"}, {"two"})
    assert lab.control.tend()["reloads"] == 0


@pytest.mark.parametrize("way", ["update", "reload"])
def test_what_a_dying_worker_left_unproven_is_not_taken_for_what_runs(
    lab: Lab, backend: Make, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies at each of its writes in turn; its successor is told of the change again, and brings it into effect."""
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    replace, died = Path.replace, [0]
    for step in range(12):
        to = (two, one)[step % 2]
        left = [step]

        def die(path: Path, target: Path, left: list[int] = left) -> Path:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", die)
        change = lab.change(view(HOST, to.port))
        try:
            (lab.control.apply_delta if way == "update" else lab.control.apply_snapshot)(
                change if way == "update" else change.files,
                "next",  # type: ignore[arg-type]  # as each wants it
            )
        except KeyboardInterrupt:
            died[0] += 1
        monkeypatch.setattr(Path, "replace", replace)
        lab.control.leave()
        lab.open()
        assert lab.control.start(lab.files) == "adopted"
        runs = texts(lab)
        if lab.control.installed() == {**lab.files, **{n: d for n, d in change.files.items() if d}}:
            assert runs == {to.name}
        lab.reload(view(HOST, to.port))
        assert texts(lab) == {to.name}
    assert died[0] >= 2


def test_a_reload_by_hand_is_found_out_and_gives_what_ran(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    lab.update(view(HOST, two.port), view("b.example", one.port))
    assert lab.control.probe() is True
    until(lambda: lab.control.tend() and lab.control._unwritten is None, "the maps are written")
    os.kill(lab.control.pid, signal.SIGUSR2)
    until(lambda: lab.control.probe() is False, "it is found out")
    assert (texts(lab), texts(lab, "b.example")) == ({"two"}, {"one"})
    lab.reload(view(HOST, one.port))
    assert lab.control.probe() is True


def test_servers_that_were_let_go_are_deleted_when_they_are_idle(lab: Lab, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    gate = threading.Event()
    one.server.before_answer = lambda: gate.wait(10)
    lab.start(view(HOST, one.port))
    slow: list[str] = []
    thread = threading.Thread(target=lambda: slow.append(ask(lab.port, HOST).text))
    thread.start()
    until(lambda: one.seen, "the request is there")
    lab.update(view(HOST, two.port))
    assert lab.control.tend()["leaving_servers"] == 1
    gate.set()
    thread.join()
    assert slow == ["one GET / 0"]
    until(lambda: lab.control.tend()["leaving_servers"] == 0, "it is deleted")


def test_requests_in_flight_finish_when_it_is_stopped(lab: Lab, backend: Make) -> None:
    one = backend("one")
    one.server.before_answer = lambda: time.sleep(0.5)
    lab.start(view(HOST, one.port))
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(ask(lab.port, HOST).text))
    thread.start()
    until(lambda: one.seen, "the request is there")
    lab.control.stop(5.0)
    thread.join()
    assert answers == ["one GET / 0"]


def test_a_taken_port_is_said_and_nothing_stays(lab: Lab, backend: Make) -> None:
    lab.port = backend("other").port
    lab.open()
    with pytest.raises(ProxyUnavailable, match="Address already in use"):
        lab.start(view(HOST, 1))
    assert not lab.pids


def test_more_connections_than_files_are_refused_before_the_start(tmp_path: Path, haproxy_binary: str) -> None:
    with pytest.raises(ConfigError, match=r"MaxConnections = 1000000: HAProxy needs 2000\d\d\d open files"):
        Lab(tmp_path / "haproxy", haproxy_binary, MaxConnections=1_000_000)


@pytest.mark.parametrize("option", ["GlobalOptions", "DefaultOptions"])
def test_a_raw_line_that_is_refused_is_named(tmp_path: Path, haproxy_binary: str, option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}: HAProxy refuses 'nonsense 1'"):
        Lab(tmp_path / "haproxy", haproxy_binary, **{option: ["nonsense 1"]})


def test_a_long_folder_name_is_no_obstacle(tmp_path: Path, haproxy_binary: str, backend: Make) -> None:
    lab = Lab(tmp_path / ("x" * 120) / "haproxy", haproxy_binary)
    try:
        lab.start(view(HOST, backend("one").port))
        lab.update(view("b.example", backend("two").port))
        lab.reload(view("c.example", backend("three").port))
        assert texts(lab, "b.example") == {"two"}
    finally:
        lab.control.stop(1.0)


def test_the_pid_file_of_another_process_is_not_adopted(lab: Lab, backend: Make) -> None:
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / family.PID_FILE).write_text(f"{os.getpid()}\n")
    assert lab.start(view(HOST, backend("one").port)) == "started"
    assert isinstance(lab.control, HaproxyControl)
    assert Identity.of(os.getpid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_workers_are_nobody_and_old_ones_still_hand_over(haproxy_binary: str, backend: Make) -> None:
    """Only the master is root; a folder below a closed one leaves them no choice."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    lab = Lab(folder / "haproxy", haproxy_binary)
    try:
        one, two = backend("one"), backend("two")
        lab.start(view(HOST, one.port))
        idle = Idle(lab.port)
        assert idle.request(HOST) == "one GET / 0"
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in lab.pids if pid != lab.control.pid}
        assert owners == {pwd.getpwnam("nobody").pw_uid}
        lab.reload(view(HOST, two.port))
        assert idle.request(HOST) == "two GET / 0"
        idle.close()
    finally:
        lab.control.stop(1.0)
        shutil.rmtree(folder)


@pytest.mark.parametrize("then", ["change", "nothing"])
def test_a_reload_by_hand_before_the_maps_are_written_is_never_taken_for_what_was_proven(
    lab: Lab, backend: Make, then: str
) -> None:
    """What runs then is older than what was told: nothing builds on it, and nothing of it is deleted."""
    one, two = backend("one"), backend("two")
    lab.start(view(HOST, one.port))
    lab.update(view(HOST, two.port))
    os.kill(lab.control.pid, signal.SIGUSR2)
    until(lambda: lab.control.probe() is False, "it is reloaded")
    if then == "change":
        with pytest.raises(NotInPlace) as caught:
            lab.update(view("b.example", one.port))
        assert caught.value.what == "drift"
    lab.control.tend()
    # The process that it replaces may take a last connection.
    until(lambda: texts(lab) == {"one"}, "what its files said")
    assert lab.control.probe() is False
    lab.reload(view("b.example", one.port))
    assert (texts(lab), texts(lab, "b.example")) == ({"two"}, {"one"})


def test_a_successor_retires_old_workers_that_a_dying_one_left(lab: Lab, backend: Make, monkeypatch) -> None:
    old, new = backend("old"), backend("new")
    lab.start(view(HOST, old.port))
    idle = [Idle(lab.port) for _ in range(4)]
    assert {link.request(HOST).split()[0] for link in idle} == {"old"}

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Reloads, "let_go", die)
        with pytest.raises(KeyboardInterrupt):
            lab.reload(view(HOST, new.port))
    lab.views = {HOST: view(HOST, new.port)}
    lab.control.leave()
    lab.open()
    assert lab.control.start(lab.files) == "adopted"
    assert {link.request(HOST).split()[0] for link in idle} == {"new"}
    for link in idle:
        link.close()


def test_with_all_connections_taken_it_still_says_what_it_runs(
    tmp_path: Path, haproxy_binary: str, backend: Make
) -> None:
    lab = Lab(tmp_path / "haproxy", haproxy_binary, MaxConnections=20)
    try:
        lab.start(view(HOST, backend("one").port))
        pid, held = lab.control.pid, [Idle(lab.port) for _ in range(25)]
        assert lab.control.probe() is True
        lab.control.leave()
        lab.open()
        assert (lab.control.start(lab.files), lab.control.pid) == ("adopted", pid)
        for link in held:
            link.close()
    finally:
        lab.control.stop(1.0)


def test_without_its_pid_file_it_is_found_all_the_same(lab: Lab, backend: Make) -> None:
    lab.start(view(HOST, backend("one").port))
    pid = lab.control.pid
    (lab.folder / family.PID_FILE).unlink()
    lab.control.leave()
    lab.open()
    assert (lab.control.start(lab.files), lab.control.pid) == ("adopted", pid)


@pytest.mark.parametrize("damage", [b"\xff\n", b"#map other.map x y\n"])
def test_a_damaged_file_is_not_built_on(lab: Lab, backend: Make, damage: bytes) -> None:
    one = backend("one")
    lab.start(view(HOST, one.port))
    lab.control.leave()
    (lab.folder / lab.renderer.file_of(HOST)).write_bytes(damage)
    lab.open()
    assert lab.control.start(lab.files) == "adopted"
    lab.control.apply_snapshot(lab.files, "all of it")
    assert texts(lab) == {"one"}
