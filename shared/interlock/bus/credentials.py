"""Passwords and URLs of the bus' users in files, for `interlock acl`: shell. No message holds what a file holds.

Every function raises `ConfigError` for a file or folder that cannot be used.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from interlock.bus import acl
from interlock.errors import ConfigError


def kept(folder: Path, names: list[str]) -> dict[str, str]:
    """The passwords of those who have a URL in this folder."""
    found: dict[str, str] = {}
    for name in names:
        path = folder / f"{name}.url"
        if not path.exists():
            continue
        found[name] = acl.password_of(_text(path).strip())
        if not found[name]:
            raise ConfigError(f"{path}: there is no password in it; remove the file to have a new one made")
    return found


def given(source: str, names: list[str]) -> dict[str, str]:
    """The passwords in a folder of files `<user>.password`, or, for `-`, in lines `user password` of stdin."""
    if source == "-":
        lines = [line.rstrip("\r\n").partition(" ") for line in sys.stdin if line.strip()]
        found = {name: password for name, _, password in lines}
    else:
        if not Path(source).is_dir():
            raise ConfigError(f"--passwords {source}: there is no such folder")
        files = {name: Path(source) / f"{name}.password" for name in names}
        found = {name: _text(path).rstrip("\r\n") for name, path in files.items() if path.exists()}
    for name, password in found.items():
        if name not in names:
            # Not quoted: where the line was written the wrong way round, the name is a password.
            raise ConfigError(f"--passwords: a line is of none of the users {', '.join(names)}; write `user password`")
        if not re.fullmatch(r"\S+", password):
            raise ConfigError(f"--passwords: the password of {name} is empty or has spaces; give another")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{path}: {why}; correct or remove the file") from None


def write_down(folder: Path, urls: dict[str, str]) -> None:
    """Each URL to `<user>.url` in this folder, readable by us alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, url in urls.items():
            fresh = folder / f".{name}.new"
            fresh.unlink(missing_ok=True)
            # Never there with another mode, not even for a moment.
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"{url}\n")
            fresh.replace(folder / f"{name}.url")
    except OSError as error:
        raise ConfigError(f"--urls {folder}: {error}; name a folder that can be written") from error
