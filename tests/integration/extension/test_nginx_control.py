"""Our nginx reloaded, proven, adopted, refused, killed: with a real nginx and real backends."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.errors import ConfigRejected, ProxyUnavailable
from interlock_extension.machine import processes
from interlock_extension.machine.generations import Bounds
from interlock_extension.machine.place import Place
from interlock_extension.nginx import complaints, control, family
from support.nginx_lab import Backend, Idle, ask, both, files_for, open_nginx, status_of, until, view
from support.ports import free_port

Make = Callable[..., Backend]


def host_file(nginx, *views) -> dict[str, bytes]:
    return {nginx.renderer.file_of(v.host.host): nginx.renderer.host(v) for v in views}


def test_a_proven_reload_sends_nothing_to_what_it_left_out(nginx, backend: Make) -> None:
    """Not on a connection that was idle, and not on one that had not sent anything yet."""
    old, new = backend("old"), backend("new")
    nginx.control.start(files_for(nginx.renderer, view("a.example", old.port)))
    for before, after in ((old, new), (new, old), (old, new)):
        idle, silent = [Idle(nginx.port) for _ in range(8)], [Idle(nginx.port) for _ in range(8)]
        assert {link.request("a.example") for link in idle} == {f"{before.name} GET / 0"}
        proof = nginx.control.apply_snapshot(host_file(nginx, view("a.example", after.port)), "v")
        count = len(before.seen)
        # Younger than keepalive_min_timeout: old workers still hold them.
        answers = [link.request("a.example") for link in (*idle, *silent)]
        assert set(answers) == {f"{after.name} GET / 0"}
        assert len(before.seen) == count
        assert proof.let_go_at - proof.applying_at < 1.0
        for link in (*idle, *silent):
            link.close()
        until(lambda: nginx.control.tend()["old_workers"] == 0, "old workers end")
    seen = new.seen[-1][2]
    assert (seen["X-Real-IP"], seen["X-Forwarded-For"]) == ("127.0.0.1", "127.0.0.1")


@both
def test_no_old_worker_accepts_after_the_proof(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    listeners = processes.listeners_of(nginx.control.pid)
    assert listeners
    for n in range(5):
        old = processes.children(nginx.control.pid)
        held = Idle(nginx.port)
        held.request("a.example")
        nginx.control.apply_snapshot(host_file(nginx, view("a.example", one.port, one.port + n + 1)), str(n))
        assert not any(family.accepts(pid, listeners) for pid in old)
        accepting = [pid for pid in processes.children(nginx.control.pid) if family.accepts(pid, listeners)]
        assert len(accepting) == 2
        held.close()


def test_a_worker_that_was_late_at_the_start_is_not_taken_for_a_new_one(
    nginx, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start waits for the first worker that answers; the other may still bear its master's title."""
    one, two = backend("one"), backend("two")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    until(lambda: len(processes.children(nginx.control.pid)) == 2, "both workers")
    listeners = processes.listeners_of(nginx.control.pid)
    late, real, asked = processes.children(nginx.control.pid)[1], processes.title, []

    def title(pid: int) -> str:
        if pid == late and not asked:
            asked.append(pid)
            return "nginx: master process nginx"
        return real(pid)

    monkeypatch.setattr(processes, "title", title)
    nginx.control.apply_snapshot(host_file(nginx, view("a.example", two.port)), "v")
    assert asked
    assert not family.accepts(late, listeners)
    assert {ask(nginx.port, "a.example").text for _ in range(20)} == {"two GET / 0"}


@both
def test_workers_do_not_pile_up(nginx, backend: Make) -> None:
    """The master must not take an early leaver for a crash and start another."""
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    for n in range(12):
        nginx.control.apply_snapshot(host_file(nginx, view("a.example", one.port, 1000 + n)), str(n))
    time.sleep(0.15)
    until(lambda: len(processes.children(nginx.control.pid)) == 2, "two workers are left")


def test_reloads_under_keep_alive_load_lose_nothing(nginx, backend: Make) -> None:
    pair = [backend("one"), backend("two")]
    nginx.control.start(files_for(nginx.renderer, view("a.example", pair[0].port)))
    stop = threading.Event()
    failed: list[str] = []
    done = [0]

    def load(method: str) -> None:
        link = Idle(nginx.port)
        while not stop.is_set():
            if method == "GET":
                ok = link.request("a.example").endswith("GET / 0")
                if link.ended:
                    link.close()
                    link = Idle(nginx.port)
            else:
                try:
                    ok = ask(nginx.port, "a.example", "/", "POST", b"x" * 1000).status == 200
                except OSError:
                    ok = False
            done[0] += 1
            if not ok:
                failed.append(method)
                return
            time.sleep(0.002)
        link.close()

    threads = [threading.Thread(target=load, args=(method,)) for method in ("GET", "POST", "GET", "POST")]
    for thread in threads:
        thread.start()
    for n in range(10):
        nginx.control.apply_snapshot(host_file(nginx, view("a.example", pair[n % 2].port)), str(n))
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert done[0] > 100
    assert failed == []


@both
def test_a_refused_file_is_named_and_what_ran_before_runs_on(nginx, backend: Make) -> None:
    one = backend("one")
    files = files_for(nginx.renderer, view("a.example", one.port), view("b.example", one.port))
    nginx.control.start(files)
    bad = nginx.renderer.file_of("b.example")
    good = host_file(nginx, view("c.example", one.port))
    with pytest.raises(ConfigRejected) as refused:
        nginx.control.apply_snapshot({bad: b"server { bogus; }\n", **good}, "bad")
    assert refused.value.culprit == bad
    assert nginx.control.installed() == files
    assert (nginx.folder / bad).read_bytes() == files[bad]
    assert not (nginx.folder / nginx.renderer.file_of("c.example")).exists()
    assert ask(nginx.port, "b.example").status == 200
    nginx.control.apply_snapshot(good, "good")
    assert ask(nginx.port, "c.example").status == 200


def refuse_writing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A disk that is full as soon as this file is written."""
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == f".{name}.new":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)


def test_a_refusal_after_an_attempt_that_was_not_proven_puts_back_what_was(
    nginx, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a bad file of the first attempt stays, and each later change of anybody is refused for it."""
    one = backend("one")
    files = files_for(nginx.renderer, view("a.example", one.port), view("b.example", one.port))
    nginx.control.start(files)
    bad = {nginx.renderer.file_of("b.example"): b"server { bogus; }\n"}
    with monkeypatch.context() as patch:
        refuse_writing(patch, "c.example.conf")
        with pytest.raises(ProxyUnavailable, match="No space left"):
            nginx.control.apply_snapshot({**bad, **host_file(nginx, view("c.example", one.port))}, "full")
    with pytest.raises(ConfigRejected):
        nginx.control.apply_snapshot(bad, "again")
    assert nginx.control.installed() == files
    assert {name: (nginx.folder / name).read_bytes() for name in files} == files
    nginx.control.apply_snapshot(host_file(nginx, view("a.example", one.port, 1000)), "a neighbour's")


def test_a_refused_generation_is_not_one_that_may_answer(nginx, backend: Make) -> None:
    nginx.control.start(files_for(nginx.renderer, view("a.example", backend("one").port)))
    before = nginx.control.witness()
    with pytest.raises(ConfigRejected):
        nginx.control.apply_snapshot({"hosts/x.conf": b"bogus;"}, "bad")
    assert nginx.control.witness() == before


def test_the_log_of_refusals_does_not_grow_for_ever(nginx, backend: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complaints, "_LARGEST_LOG", 2000)
    nginx.control.start(files_for(nginx.renderer, view("a.example", backend("one").port)))
    for n in range(30):
        with pytest.raises(ConfigRejected, match=f"bogus_{n}"):
            nginx.control.apply_snapshot({"hosts/x.conf": b"bogus_%d;" % n}, "bad")
    assert (nginx.folder / "refusals.log").stat().st_size < 3000


def full_zone() -> bytes:
    servers = "".join(f"    server 127.0.0.2:{port};\n" for port in range(3000, 3100))
    return f"upstream u_full {{\n    zone u_full_backend 64k;\n{servers}}}\n".encode()


@both
def test_a_refusal_that_nginx_logs_as_less_than_one_is_found_out(nginx, backend: Make) -> None:
    """A zone without room is `[crit]` only: nobody may wait for ever for workers that never come."""
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    began = time.monotonic()
    with pytest.raises(ConfigRejected, match="no memory") as refused:
        nginx.control.apply_snapshot({"hosts/b.example.conf": full_zone()}, "full")
    assert refused.value.culprit == "hosts/b.example.conf"
    assert time.monotonic() - began < 4.0
    nginx.control.apply_snapshot(host_file(nginx, view("c.example", one.port)), "good")
    assert ask(nginx.port, "c.example").status == 200


@both
def test_a_start_that_a_full_zone_prevents_names_the_file(nginx) -> None:
    with pytest.raises(ConfigRejected, match="no memory") as refused:
        nginx.control.start({**files_for(nginx.renderer, view("a.example", 1)), "hosts/b.example.conf": full_zone()})
    assert refused.value.culprit == "hosts/b.example.conf"


def test_many_endpoints_find_room(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    for count in (200, 1000, 60):
        began = time.monotonic()
        nginx.control.apply_snapshot(
            host_file(nginx, view("a.example", one.port, *range(20_000, 20_000 + count))), str(count)
        )
        assert time.monotonic() - began < 2.0
        assert ask(nginx.port, "a.example").status == 200


def contents(nginx, *views) -> dict[str, bytes]:
    """As a check aside takes them: by host."""
    return {v.host.host: nginx.renderer.host(v) for v in views}


@both
def test_checking_aside_names_the_file_and_touches_nothing(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    nginx.control.check(contents(nginx, view("b.example", one.port), view("_", one.port)))
    nginx.control.check({})
    with pytest.raises(ConfigRejected) as refused:
        nginx.control.check({"x": b"upstream x { }"})
    assert refused.value.culprit == "hosts/x.conf"
    assert ask(nginx.port, "a.example").status == 200


def test_a_host_that_nginx_takes_is_taken_aside_whatever_it_is_called(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    long = ".".join(["x" * 53] * 4)
    both_views = view(long, one.port), view("default_server", one.port)
    nginx.control.check(contents(nginx, *both_views))
    nginx.control.apply_snapshot(files_for(nginx.renderer, *both_views), "v")
    assert {status_of(nginx.port, name) for name in (long, "default_server")} == {200}
    # Nor is a host of that name taken for the default one, in whose place the main file has none.
    with pytest.raises(ConfigRejected, match="duplicate default server"):
        nginx.control.check({"default_server": b"server { listen 127.0.0.1:%d default_server; }" % nginx.port})


def test_a_disk_that_takes_nothing_aside_is_said_as_such(nginx, backend: Make) -> None:
    """An error of another kind would end the worker."""
    nginx.control.start(files_for(nginx.renderer, view("a.example", backend("one").port)))
    (nginx.folder / "check").symlink_to("/dev/full")
    with pytest.raises(ProxyUnavailable, match="nothing can be read aside"):
        nginx.control.check({})
    (nginx.folder / "check").unlink()
    nginx.control.check({})


@both
def test_a_refused_start_names_the_file(nginx) -> None:
    files = files_for(nginx.renderer, view("a.example", 1))
    with pytest.raises(ConfigRejected) as refused:
        nginx.control.start({**files, "hosts/a.example.conf": b"upstream x { }"})
    assert refused.value.culprit == "hosts/a.example.conf"


def test_a_taken_port_is_said(tmp_path: Path, backend: Make) -> None:
    renderer, control = open_nginx(tmp_path / "nginx", backend("other").port)
    with pytest.raises(ProxyUnavailable, match=r"cannot listen.*in use"):
        control.start(files_for(renderer, view("a.example", 1)))


def test_a_restarted_worker_adopts_the_running_nginx(nginx, backend: Make) -> None:
    one, two = backend("one"), backend("two")
    files = files_for(nginx.renderer, view("a.example", one.port))
    assert nginx.control.start(files) == "started"
    pid, workers = nginx.control.pid, processes.children(nginx.control.pid)
    nginx.control.leave()
    renderer, control = nginx.open()
    nginx.control = control
    assert control.start(files_for(renderer, view("a.example", two.port))) == "adopted"
    assert control.pid == pid
    assert processes.children(pid) == workers
    assert control.installed() == files
    assert ask(nginx.port, "a.example").text.startswith("one")
    idle = Idle(nginx.port)
    idle.request("a.example")
    control.apply_snapshot(host_file(nginx, view("a.example", two.port)), "after")
    assert idle.request("a.example").startswith("two")
    idle.close()


def test_a_slow_answer_is_no_reason_to_end_a_serving_nginx(nginx, backend: Make) -> None:
    one = backend("one")
    files = files_for(nginx.renderer, view("a.example", one.port))
    nginx.control.start(files)
    pid, workers = nginx.control.pid, processes.children(nginx.control.pid)
    nginx.control.leave()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    awake = threading.Timer(1.6, lambda: [os.kill(worker, signal.SIGCONT) for worker in workers])
    awake.start()
    _, nginx.control = nginx.open()
    assert nginx.control.start(files) == "adopted"
    awake.join()
    assert nginx.control.pid == pid
    assert processes.children(pid) == workers


def test_an_nginx_that_never_answers_may_finish_what_it_has_begun(nginx, backend: Make, monkeypatch) -> None:
    monkeypatch.setattr(control, "_ANSWER_TIMEOUT", 0.3)
    one = backend("one")
    release = threading.Event()
    one.server.before_answer = lambda: release.wait(20) and None
    files = files_for(nginx.renderer, view("a.example", one.port))
    nginx.control.start(files)
    pid = nginx.control.pid
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(status_of(nginx.port, "a.example")))
    thread.start()
    until(lambda: one.seen, "the request is in flight")
    nginx.control.leave()
    (nginx.folder / "status.sock").unlink()
    _, nginx.control = nginx.open()
    threading.Timer(1.0, release.set).start()
    assert nginx.control.start(files) == "started"
    thread.join()
    assert answers == [200]
    assert nginx.control.pid != pid


def test_files_of_a_worker_that_died_before_the_reload_are_not_taken_for_what_runs(
    nginx, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever write it died: its successor brings the change, instead of finding it done."""
    one, two = backend("one"), backend("two")
    before = files_for(nginx.renderer, view("a.example", one.port))
    nginx.control.start(before)
    [(file, wanted)] = host_file(nginx, view("a.example", two.port)).items()
    put, died = Place._put, []
    for writes in (1, 2, 3):
        left = [writes]

        def die(place: Place, name: str, data: bytes | None, left: list[int] = left) -> None:
            put(place, name, data)
            left[0] -= 1
            if not left[0]:
                died.append(name)
                raise KeyboardInterrupt

        monkeypatch.setattr(Place, "_put", die)
        with pytest.raises(KeyboardInterrupt):
            nginx.control.apply_snapshot({file: wanted}, "v")
        monkeypatch.setattr(Place, "_put", put)
        nginx.control.leave()
        nginx.renderer, nginx.control = nginx.open()
        assert nginx.control.start({**before, file: wanted}) == "adopted"
        assert ask(nginx.port, "a.example").text.startswith("one")
        assert nginx.control.installed()[file] != wanted
        nginx.control.apply_snapshot(before, "back")
        assert nginx.control.installed() == before
    assert file in died


def test_a_generation_that_a_dying_worker_left_unmarked_is_outdated_at_adoption(nginx, backend: Make) -> None:
    old, new = backend("old"), backend("new")
    nginx.control.start(files_for(nginx.renderer, view("a.example", old.port)))
    # Long idle, so that its worker stays.
    idle = Idle(nginx.port)
    assert idle.request("a.example").startswith("old")
    # What a worker does until it dies between the reload and its end.
    nginx.control._markers.outdate_others = lambda generation: None
    files = host_file(nginx, view("a.example", new.port))
    nginx.control.apply_snapshot(files, "v")
    nginx.control.leave()
    _, nginx.control = nginx.open()
    assert nginx.control.start({}) == "adopted"
    assert idle.request("a.example").startswith("new")
    idle.close()


@both
def test_generations_do_not_pile_up_on_the_disk(nginx, backend: Make) -> None:
    one = backend("one")
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    for n in range(4):
        nginx.control.apply_snapshot(host_file(nginx, view("a.example", one.port, 1000 + n)), str(n))
        with pytest.raises(ConfigRejected):
            nginx.control.apply_snapshot({"hosts/x.conf": b"bogus;"}, "bad")
    until(lambda: nginx.control.tend()["old_workers"] == 0, "old workers end")
    assert len(list((nginx.folder / "generations").iterdir())) == 1
    assert [path.name for path in (nginx.folder / "generations").glob("*/*")] == ["current"]


def test_a_connection_that_stays_keeps_only_the_folder_of_its_own_generation(nginx, backend: Make) -> None:
    one = backend("one")
    release = threading.Event()
    one.server.before_answer = lambda: release.wait(20) and None
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    thread = threading.Thread(target=status_of, args=(nginx.port, "a.example"))
    thread.start()
    until(lambda: one.seen, "the request is in flight")
    for n in range(4):
        nginx.control.apply_snapshot(host_file(nginx, view("a.example", one.port, 1000 + n)), str(n))
    until(lambda: nginx.control.tend()["old_workers"] == 1, "the other old workers end")
    left = sorted(path.name for path in (nginx.folder / "generations").glob("*/*"))
    assert left == ["current", "outdated"]
    release.set()
    thread.join()


def test_without_a_marker_nothing_is_let_go_before_old_workers_end(nginx, backend: Make) -> None:
    old, new = backend("old"), backend("new")
    nginx.control.start(files_for(nginx.renderer, view("a.example", old.port)))
    shutil.rmtree(nginx.folder / "generations")
    (nginx.folder / "generations").mkdir()
    proof = nginx.control.apply_snapshot(host_file(nginx, view("a.example", new.port)), "v")
    # keepalive_min_timeout
    assert proof.let_go_at == pytest.approx(proof.effective_at + 1.0)
    until(lambda: nginx.control.tend()["old_workers"] == 0, "old workers end")
    proof = nginx.control.apply_snapshot(host_file(nginx, view("a.example", old.port)), "v")
    assert proof.let_go_at < proof.effective_at + 0.5


def test_nobody_warns_of_an_nginx_that_was_left_running(nginx, tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from support.nginx_lab import files_for, open_nginx, view\n"
        "renderer, control = open_nginx(pathlib.Path(sys.argv[1]), int(sys.argv[2]), WorkerProcesses=2)\n"
        "control.start(files_for(renderer, view('a.example', 1))); control.leave()\n"
    )
    # Not a pipe, which nginx would hold open.
    with (tmp_path / "said").open("w+") as said:
        command = [sys.executable, "-W", "always", "-c", script, str(nginx.folder), str(nginx.port)]
        done = subprocess.run(command, stdout=said, stderr=said, check=False, cwd=Path(__file__).parents[2])
    assert nginx.control.start({}) == "adopted"
    assert done.returncode == 0
    assert "ResourceWarning" not in (tmp_path / "said").read_text()


def test_a_pid_file_of_another_process_is_not_adopted(nginx) -> None:
    nginx.folder.mkdir(parents=True)
    (nginx.folder / "nginx.pid").write_text(f"{os.getpid()}\n")
    assert nginx.control.start(files_for(nginx.renderer, view("a.example", 1))) == "started"
    assert nginx.control.pid != os.getpid()


@both
def test_nginx_comes_back_after_a_kill_although_its_workers_live_on(nginx, backend: Make) -> None:
    one = backend("one")
    files = files_for(nginx.renderer, view("a.example", one.port))
    nginx.control.start(files)
    orphans = processes.children(nginx.control.pid)
    os.kill(nginx.control.pid, signal.SIGKILL)
    until(lambda: not nginx.control.alive(), "the master is dead")
    assert any(processes.title(pid) for pid in orphans)
    began = time.monotonic()
    assert nginx.control.start(files) == "started"
    assert time.monotonic() - began < 1.0
    assert ask(nginx.port, "a.example").status == 200
    until(lambda: not any(processes.title(pid) for pid in orphans), "orphans end")


def test_applying_to_a_dead_nginx_is_unavailable(nginx, backend: Make) -> None:
    nginx.control.start(files_for(nginx.renderer, view("a.example", backend("one").port)))
    os.kill(nginx.control.pid, signal.SIGKILL)
    until(lambda: not nginx.control.alive(), "the master is dead")
    with pytest.raises(ProxyUnavailable):
        nginx.control.apply_snapshot({}, "v")


@both
def test_stopping_a_dead_nginx_leaves_no_worker_behind(nginx, backend: Make) -> None:
    nginx.control.start(files_for(nginx.renderer, view("a.example", backend("one").port)))
    orphans = processes.children(nginx.control.pid)
    os.kill(nginx.control.pid, signal.SIGKILL)
    until(lambda: not nginx.control.alive(), "the master is dead")
    nginx.control.stop(1.0)
    until(lambda: not any(processes.title(pid) for pid in orphans), "orphans end")


def test_old_generations_are_bounded(nginx, backend: Make) -> None:
    one = backend("one")
    release = threading.Event()
    one.server.before_answer = lambda: release.wait(20) and None
    nginx.control._retired.bounds = Bounds(generations=2, young=0.0)
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    threads = []
    for n in range(4):
        # A request in flight keeps its worker.
        thread = threading.Thread(target=status_of, args=(nginx.port, "a.example"))
        thread.start()
        threads.append(thread)
        until(lambda n=n: len(one.seen) > n, "the request is in flight")
        nginx.control.apply_snapshot(host_file(nginx, view("a.example", one.port, 2000 + n)), str(n))
    assert nginx.control.tend()["old_workers"] >= 4
    until(lambda: nginx.control.tend()["old_workers"] <= 2, "the oldest generations end")
    assert nginx.control.tend()["old_workers_ended"] >= 2
    release.set()
    for thread in threads:
        thread.join()


@both
def test_requests_in_flight_finish_when_nginx_is_stopped(nginx, backend: Make) -> None:
    one = backend("one")
    release = threading.Event()
    one.server.before_answer = lambda: release.wait(20) and None
    nginx.control.start(files_for(nginx.renderer, view("a.example", one.port)))
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(status_of(nginx.port, "a.example")))
    thread.start()
    until(lambda: one.seen, "the request is in flight")
    threading.Timer(0.3, release.set).start()
    nginx.control.stop(5.0)
    thread.join()
    assert answers == [200]
    with pytest.raises(OSError, match="refused"):
        ask(nginx.port, "a.example")


def test_a_long_folder_name_is_no_obstacle(tmp_path: Path, backend: Make) -> None:
    port = free_port()
    renderer, control = open_nginx(tmp_path / ("d" * 120) / "nginx $x", port)
    control.start(files_for(renderer, view("a.example", backend("one").port)))
    control.apply_snapshot({}, "v2")
    assert ask(port, "a.example").status == 200
    control.stop(1.0)


def test_while_it_reloads_either_generation_may_answer(nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    """The health check asks meanwhile: a large reload takes longer than a container may be unhealthy."""
    seen = []
    reload_ = nginx.control._reload

    def looked_at(*args: object) -> float:
        seen.append(nginx.control.witness())
        return reload_(*args)  # type: ignore[arg-type]

    nginx.control.start(nginx.renderer.shared(0, 0, default=False))
    before = nginx.control.witness()
    monkeypatch.setattr(nginx.control, "_reload", looked_at)
    nginx.control.apply_snapshot({}, "note")
    after = nginx.control.witness()
    assert before is not None
    assert after is not None
    [during] = seen
    assert during is not None
    assert set(during[1]) == {before[1][0], after[1][0]}
