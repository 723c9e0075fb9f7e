"""The trial's output is opened to its programs where it is a container's, and nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from interlock_trial import app


def test_only_a_pipe_is_opened_to_others(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        app._open_output(writing, log)
        assert stat.S_IMODE(os.fstat(writing).st_mode) == 0o622
        assert stat.S_IMODE(os.fstat(log).st_mode) == 0o600
    finally:
        for descriptor in (reading, writing, log):
            os.close(descriptor)
