"""What a program says that ends at once, and with which status, for many command lines: one start for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Each command line has a process of its own, forked from one that has imported the program.
_FORKS = """
import importlib, json, os, sys, tempfile, traceback
modules, cases = json.load(sys.stdin)
main, *_ = [importlib.import_module(module) for module in modules]
ends = []
for arguments, env in cases:
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if pid == 0:
            os.dup2(said.fileno(), 2)
            os.environ.update(env)
            sys.argv[1:] = arguments
            status = 1
            try:
                main.main()
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(status)  # what the fork shares with its parent need not be taken apart
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        ends.append((status, said.read().decode()))
print(json.dumps(ends))
"""


class Case(NamedTuple):
    """A command line without the program, and what is added to the environment."""

    arguments: Sequence[str]
    env: Mapping[str, str]


class End(NamedTuple):
    """How a process ended: its exit status (of a signal: negative), and its stderr."""

    status: int
    said: str


def ends(modules: Sequence[str], cases: Sequence[Case], *, without: Sequence[str] = ()) -> list[End]:
    """How each case ends.

    `modules`: that of the program's `main`, and those that it imports late. `without`: taken out of our environment.
    """
    env = {name: value for name, value in os.environ.items() if name not in without}
    given = json.dumps([modules, cases])
    done = subprocess.run(
        [sys.executable, "-c", _FORKS], input=given, capture_output=True, text=True, timeout=100, check=True, env=env
    )
    return [End(*end) for end in json.loads(done.stdout)]
