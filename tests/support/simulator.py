"""Starts the simulator in a process of its own for a test, and ends it by its pid. Nothing is left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock_simulator.client import SimulatorClient


@contextmanager
def running_simulator(tmp_path: Path, **options: object) -> Iterator[SimulatorClient]:
    """A running simulator: `with running_simulator(tmp_path, profile="fast", nodes=3) as sim: …`

    Options are those of `interlock-simulator`, `_` for `-`; True is a bare flag. Its output is
    `tmp_path/simulator.log`.
    The socket lies in a short folder of its own, since a unix socket's path may have 107 characters.
    """
    options = {"profile": "fast", "stop_with_parent": True, **options}
    folder = Path(tempfile.mkdtemp(prefix="sim"))
    socket = folder / "docker.sock"
    arguments = [sys.executable, "-m", "interlock_simulator.cli", "--socket", str(socket)]
    for key, value in options.items():
        if value is not None and value is not False:
            arguments.append("--" + key.replace("_", "-"))
            arguments += [] if value is True else [str(value)]
    with (tmp_path / "simulator.log").open("ab") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
    client = SimulatorClient(socket)
    try:
        client.wait_ready()
        yield client
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        shutil.rmtree(folder, ignore_errors=True)
