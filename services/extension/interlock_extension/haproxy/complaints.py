"""Finding out why HAProxy refuses: `haproxy -c`, in its folder or aside, and which file is at fault. Shell."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from interlock.errors import ConfigRejected, ProxyUnavailable
from interlock.runtime.parts import Part
from interlock_extension.haproxy.refusal import Refusal, backend_of, complaint, read_refusal
from interlock_extension.haproxy.render import BACKENDS, HOSTS, MAIN, compose, file_at, host_files
from interlock_extension.haproxy.routes import FOLDER

FILES = ("-f", MAIN, "-f", BACKENDS)
"""What HAProxy reads, from its folder."""

_CHECK_TIMEOUT = 60.0
_START_TIMEOUT = 2.0


def refusal_in(part: Part, folder: Path) -> Refusal | None:
    """What HAProxy says against the files of a folder; None where it takes them. Raises `ProxyUnavailable`."""
    try:
        said = subprocess.run(
            [str(part.path), "-c", *FILES], cwd=folder, capture_output=True, text=True, errors="replace",
            timeout=_CHECK_TIMEOUT, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise ProxyUnavailable(f"{part.path} cannot check a configuration: {error}") from error
    return None if said.returncode == 0 else read_refusal(said.stderr + said.stdout)


def start_complaint(part: Part, folder: Path) -> str:
    """Why HAProxy does not start although it takes its files, such as a port that another holds; empty where it does.

    Tried once more, since the one that ended was quiet.
    """
    try:
        done = subprocess.run(
            [str(part.path), "-db", *FILES], cwd=folder, capture_output=True, text=True, errors="replace",
            timeout=_START_TIMEOUT, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return complaint(done.stderr)


def refusal_aside(part: Part, folder: Path, files: Mapping[str, bytes]) -> Refusal | None:
    """The same for files laid out in a folder of their own, which is emptied before. Raises `ProxyUnavailable`."""
    try:
        # What would stay there would be read too.
        if folder.exists():
            shutil.rmtree(folder)
        for name in (HOSTS, FOLDER):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, data in {**files, **compose(files, "check").files}.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise ProxyUnavailable(f"nothing can be read aside in {folder}: {error}") from error
    return refusal_in(part, folder)


def rejected(refusal: Refusal, files: Mapping[str, bytes]) -> ConfigRejected:
    """The error, with the file as culprit where HAProxy names its line or a backend of it."""
    culprit = file_at(files, refusal.line) if refusal.file == BACKENDS else None
    backend = backend_of(refusal)
    if culprit is None and backend:
        head = f"backend {backend}\n".encode()
        culprit = next((name for name in host_files(files) if head in files[name]), None)
    said = refusal.said.replace(f"{BACKENDS}:{refusal.line}", culprit) if culprit else refusal.said
    return ConfigRejected(f"HAProxy refused: {said}", culprit=culprit)
