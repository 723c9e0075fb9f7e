"""`interlock acl`: prints the bus' users and writes down how each logs in; click and files, the rules are in `acl`."""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

import click

from interlock.bus import acl
from interlock.errors import ConfigError
from interlock.runtime.settings import ServiceCommand

_EXAMPLES = """\b
Examples:
  interlock acl --urls secrets/ > users.acl                                 # the unnamed service cluster only
  interlock acl --cluster "" --cluster internal --urls secrets/ > users.acl
  interlock acl --passwords secrets/ --server rediss://bus:6380/0 --urls urls/ > users.acl
\b
Then:
  docker secret create bus-acl users.acl           # redis-server --aclfile /run/secrets/bus-acl
  docker secret create bus-watcher secrets/watcher.url
  interlock-watcher --bus-file /run/secrets/bus-watcher
"""


@click.command(cls=ServiceCommand, epilog=_EXAMPLES)
@click.option("--region", default="default", show_default=True, help="The region whose keys the users may use.")
@click.option(
    "--cluster",
    "clusters",
    multiple=True,
    metavar="NAME",
    help="A user for the proxies of this service cluster; may be given again.  [default: the unnamed one]",
)
@click.option(
    "--passwords",
    metavar="DIR|-",
    help="Passwords of your own: files <user>.password in a folder, or lines `user password` on stdin. The others are "
    "made here.",
)
@click.option(
    "--urls",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the bus' URL for each user to <user>.url here (mode 0600). A user whose file is there keeps its "
    "password.",
)
@click.option(
    "--server", default="redis://bus:6379/0", show_default=True, metavar="URL", help="The bus in those URLs, no user."
)  # fmt: skip
def main(region: str, clusters: tuple[str, ...], passwords: str | None, urls: Path | None, server: str) -> None:
    """Print users of Redis 7 or Valkey (an aclfile) that may do what their role takes, and nothing else.

    The users are watcher, planner, proxy (for the unnamed service cluster) or proxy-NAME, and operator, which reads
    only; the user `default` is off. The file holds hashes of passwords, no passwords.
    """
    if not region:
        raise ConfigError("--region is empty: give the region's name, or leave it out")
    users = acl.users(region, clusters or ("",))
    names = [user.name for user in users]
    known = {**(_kept(urls, names) if urls else {}), **(_given(passwords, names) if passwords else {})}
    missing = [name for name in names if name not in known]
    if missing and not urls:
        raise ConfigError(
            f"the passwords of {', '.join(missing)} would be known to nobody: give --urls DIR to have them written "
            "down, or --passwords"
        )
    known |= {name: secrets.token_urlsafe(32) for name in missing}
    text = acl.acl_file(users, known)
    found = {name: acl.user_url(server, name, known[name]) for name in names}
    if urls:
        _write_down(urls, found)
    sys.stdout.write(text)


def _kept(folder: Path, names: list[str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name in names:
        path = folder / f"{name}.url"
        if not path.exists():
            continue
        kept[name] = acl.password_of(_text(path).strip())
        if not kept[name]:
            raise ConfigError(f"{path}: there is no password in it; remove the file to have a new one made")
    return kept


def _given(source: str, names: list[str]) -> dict[str, str]:
    if source == "-":
        lines = [line.rstrip("\r\n").partition(" ") for line in sys.stdin if line.strip()]
        given = {name: password for name, _, password in lines}
    else:
        if not Path(source).is_dir():
            raise ConfigError(f"--passwords {source}: there is no such folder")
        files = {name: Path(source) / f"{name}.password" for name in names}
        given = {name: _text(path).rstrip("\r\n") for name, path in files.items() if path.exists()}
    for name, password in given.items():
        if name not in names:
            # Not quoted: where the line was written the wrong way round, the name is a password.
            raise ConfigError(f"--passwords: a line is of none of the users {', '.join(names)}; write `user password`")
        if not re.fullmatch(r"\S+", password):
            raise ConfigError(f"--passwords: the password of {name} is empty or has spaces; give another")
    return given


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{path}: {why}; correct or remove the file") from None


def _write_down(folder: Path, urls: dict[str, str]) -> None:
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
