"""Threads that are supervised, signals, and the end of the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from interlock.errors import ConfigError
from interlock.runtime import logging, metrics
from interlock.runtime.lifecycle import Lifecycle

SERVICE = """
import sys, threading
from interlock.runtime import logging
from interlock.runtime.lifecycle import Lifecycle
logging.configure()
lifecycle = Lifecycle("test")
def loop():
    print("up", flush=True)
    lifecycle.stop.wait()
    print("loop ends", flush=True)
lifecycle.on_close("x", lambda: print("closed", flush=True))
lifecycle.spawn("loop", loop if sys.argv[1] == "loop" else lambda: 1 / 0)
sys.exit(lifecycle.wait())
"""


def started(kind: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: int) -> None:
    with started("loop") as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out == "loop ends\nclosed\n"
    assert "stopping" in err


STARTING = """
import sys
from interlock.runtime import logging
from interlock.runtime.lifecycle import Lifecycle
logging.configure()
lifecycle = Lifecycle("test")
lifecycle.on_close("x", lambda: print("closed", flush=True))
def busy():
    print("up", flush=True)
    while not (sys.argv[1] == "before" and lifecycle.stop.is_set()):
        pass
try:
    if sys.argv[1] == "before":
        busy()
    with lifecycle.interruptible():
        busy()
finally:
    print(lifecycle.close(), flush=True)
"""


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_signal_ends_a_start_that_does_not_ask(when: str) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTING, when], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.terminate()
        try:
            out, _ = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert out == "closed\n0\n"


def test_an_exception_in_a_thread_ends_the_process_with_its_stack() -> None:
    with started("fail") as process:
        out, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "ZeroDivisionError" in err
    assert "Traceback" in err
    assert "closed" in out


def test_it_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys, os\n"
        f"p = subprocess.Popen([sys.executable, '-c', {SERVICE!r}, 'loop'], stdout=subprocess.PIPE)\n"
        "p.stdout.readline(); print(p.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "INTERLOCK_STOP_WITH_PARENT": "1"},
    )
    pid = int(done.stdout)
    end = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    from interlock.runtime.process import Identity

    return Identity.of(pid) is not None


def test_a_thread_that_returns_too_early_is_a_failure() -> None:
    lifecycle = Lifecycle("test", signals=False)
    lifecycle.spawn("short", lambda: None)
    assert lifecycle.wait() == 1
    fine = Lifecycle("test", signals=False)
    thread = fine.spawn("short", lambda: None, once=True)
    thread.join()
    assert not fine.stop.is_set()
    assert fine.close() == 0


def test_closers_run_last_first_and_one_that_fails_keeps_none_from_it(capsys: pytest.CaptureFixture[str]) -> None:
    lifecycle = Lifecycle("test", signals=False)
    order: list[str] = []
    lifecycle.on_close("first", lambda: order.append("first"))
    lifecycle.on_close("broken", lambda: 1 / 0)
    lifecycle.on_close("last", lambda: order.append("last"))
    lifecycle.on_stop(lambda: order.append("interrupt"))
    lifecycle.spawn("loop", lambda: order.append("loop") if lifecycle.stop.wait() else None)
    assert lifecycle.close() == 0
    assert order[0] == "interrupt" or order[0] == "loop"
    assert order[2:] == ["last", "first"]


def test_logs_for_people_and_for_collectors(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("warning", json=True)
    log = logging.get_logger(service="x")
    log.info("quiet")
    log.warning("loud", n=1)
    logging.configure("info")
    log = logging.get_logger(service="x")
    log.info("plain", n=2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert '"event": "loud"' in lines[0]
    assert "n=2" in lines[1]
    assert "service=x" in lines[1]


def test_metrics_are_served_and_the_port_is_given_back() -> None:
    import urllib.request

    made = metrics.Metrics("test")
    made.counter("reads_total", "Reads.").inc(3)
    assert made.counter("reads_total", "Reads.") is made.counter("reads_total", "Reads.")
    with pytest.raises(TypeError):
        made.gauge("reads_total", "Reads.")
    server = metrics.serve("127.0.0.1:0", made)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            assert b"interlock_test_reads_total 3.0" in answer.read()
        with pytest.raises(ConfigError):
            metrics.serve(f"127.0.0.1:{server.port}", made)
    finally:
        server.close()
    metrics.serve(f"127.0.0.1:{server.port}", made).close()
    with pytest.raises(ConfigError):
        metrics.serve("nowhere", made)


@pytest.mark.parametrize("json", [True, False])
def test_a_logged_exception_shows_no_local_variable(capsys: pytest.CaptureFixture[str], json: bool) -> None:
    logging.configure("info", json=json)
    url = "redis://watcher:hunter" + "2@bus:6379/0"
    try:
        raise ValueError(f"{len(url)} characters")
    except ValueError:
        logging.get_logger().exception("failed")
    logged = capsys.readouterr().err
    assert "34 characters" in logged
    assert "hunter2" not in logged
