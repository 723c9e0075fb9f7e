"""`interlock import` as a user runs it: what goes where, and with which exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROUTE = "com.docker.ucp.mesh.http: external_route=http://x,internal_port=80"
STACK = f"services:\n  web:\n    deploy:\n      labels:\n        {ROUTE}\n"
ADDED = f'{STACK}        com.docker.lb.hosts: "x"\n        com.docker.lb.port: "80"\n'


def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "interlock_importer.cli", *arguments], input=stdin, capture_output=True, check=False
    )


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    file = tmp_path / "stack.yml"
    file.write_text(STACK)
    return file


def test_the_stack_goes_to_stdout_and_the_report_to_stderr(stack: Path) -> None:
    done = run("--from", "hrm", stack)
    assert done.returncode == 0
    assert done.stdout.decode() == ADDED
    assert done.stderr.decode().startswith(f"{stack}: 1 service with old labels, 2 labels added\n")
    assert stack.read_text() == STACK


def test_its_own_output_is_not_changed(stack: Path) -> None:
    first = run("--from", "hrm", stack)
    again = run("--from", "hrm", "-", stdin=first.stdout)
    assert again.returncode == 0
    assert again.stdout == first.stdout
    assert b"0 labels added" in again.stderr


def test_the_umbrella_knows_it(stack: Path) -> None:
    program = Path(sys.executable).with_name("interlock")
    done = subprocess.run([program, "import", "--from", "hrm", stack], capture_output=True, check=True)
    assert done.stdout.decode() == ADDED


def test_the_report_can_be_a_file_and_json(stack: Path, tmp_path: Path) -> None:
    place = tmp_path / "report.json"
    done = run("--from", "hrm", stack, "--report", place, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(place.read_bytes()) == {
        "file": str(stack),
        "dialect": "hrm",
        "complete": True,
        "services": [
            {
                "service": "web",
                "labels": {"com.docker.lb.hosts": "x", "com.docker.lb.port": "80"},
                "added": ["com.docker.lb.hosts", "com.docker.lb.port"],
            }
        ],
        "notes": [
            {
                "kind": "mapped",
                "service": "web",
                "key": "com.docker.ucp.mesh.http",
                "value": "external_route=http://x,internal_port=80",
                "reason": "became hosts, port",
                "remedy": "",
            }
        ],
    }


def test_what_does_not_map_is_exit_status_1_and_the_rest_is_printed(stack: Path) -> None:
    stack.write_text(STACK.replace("internal_port=80", "internal_port=80,speed=11"))
    done = run("--from", "hrm", stack)
    assert done.returncode == 1
    assert b'com.docker.lb.hosts: "x"' in done.stdout
    assert b"speed=11" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", "is not YAML in line 1"),
        (b"web:\n  image: x\n", "has no map `services`"),
        (b"services: {web: \xff}", "is not UTF-8 at byte 16"),
        (b"#" * (1 << 20) + b"\n", "is larger than 1 MB"),
    ],
)
def test_what_cannot_be_read_is_exit_status_2_and_nothing_is_printed(stack: Path, content: bytes, said: str) -> None:
    stack.write_bytes(content)
    done = run("--from", "hrm", stack)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr.decode()
    assert str(stack) in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_file_that_is_not_there_and_a_report_that_cannot_be_written(stack: Path, tmp_path: Path) -> None:
    missing = run("--from", "v1", tmp_path / "none.yml")
    assert missing.returncode == 2
    assert "none.yml cannot be read: No such file" in missing.stderr.decode()
    unwritten = run("--from", "hrm", stack, "--report", tmp_path / "no" / "report.txt")
    assert (unwritten.returncode, unwritten.stdout) == (2, b"")
    assert "cannot be written" in unwritten.stderr.decode()


def test_the_dialect_must_be_named(stack: Path) -> None:
    assert run(stack).returncode == 2
    assert run("--from", "traefik", stack).returncode == 2
