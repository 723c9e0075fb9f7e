"""What the one container runs, and as whom. The programs are started as a user would start them.

Where we are root, each has a user of its own: the watcher's alone is in the group of Docker's socket, so that neither
nginx nor what talks to it can open it. Where we are not, all run as we do, and that is said.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from interlock.errors import ConfigError
from interlock.runtime.health import FILE
from interlock.runtime.init import Init, Program, User
from interlock.runtime.logging import get_logger
from interlock.runtime.parts import find_redis_server

GROUP = 65533
"""Of all programs, and of the container's own user; it may connect to the bus."""

BUS, WATCHER, PLANNER, PROXY = 65530, 65531, 65529, 65532


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the trial is told. `docker` is the path of the socket; `run_dir` and `state_dir` are ours."""

    docker: Path
    http_port: int
    run_dir: Path
    state_dir: Path


def run(options: Options) -> int:
    """Run everything until SIGTERM; the exit status. Raises `ConfigError` and `PartMissing`."""
    as_root = os.geteuid() == 0
    watcher_groups = (_group_of(options.docker),)
    server = find_redis_server()
    bus_dir, proxy_dir = options.run_dir / "bus", options.run_dir / "proxy"
    _folder(options.run_dir, 0o755)
    _folder(options.state_dir, 0o755)
    # The group passes through to sockets: programs to the bus, the health check and `docker exec` to either.
    _folder(bus_dir, 0o710, BUS if as_root else None)
    _folder(proxy_dir, 0o755, PROXY if as_root else None)
    _folder(options.state_dir / "bus", 0o700, BUS if as_root else None)
    _folder(options.state_dir / "proxy", 0o710, PROXY if as_root else None)
    socket = bus_dir / "bus.sock"
    bus = ("--bus", f"unix://{socket}")
    silent = {FILE: ""}

    def user(uid: int, groups: tuple[int, ...] = ()) -> User | None:
        return User(uid=uid, gid=GROUP, groups=groups) if as_root else None

    if as_root:
        _open_output(1, 2)
    programs = [
        Program(
            [
                str(server.path), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "770",
                "--dir", str(options.state_dir / "bus"), "--save", "", "--appendonly", "yes", "--loglevel", "warning",
            ],
            user=user(BUS),
        ),
        Program(
            ["interlock-watcher", *bus, "--docker", f"unix://{options.docker}"],
            user=user(WATCHER, watcher_groups),
            env=silent,
        ),
        Program(["interlock-planner", *bus], user=user(PLANNER), env=silent),
        Program(
            [
                "interlock-extension", *bus, "--http-port", str(options.http_port),
                "--state-dir", str(options.state_dir / "proxy"), "--stop-timeout", "15s",
            ],
            user=user(PROXY),
            env={FILE: str(proxy_dir / "health.json")},
        ),
    ]  # fmt: skip
    return Init(programs).run()


def _open_output(*descriptors: int) -> None:
    """The container's output is the first user's: others could not open /dev/stdout. A file or a terminal is let be."""
    for number in descriptors:
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            os.fchmod(number, 0o622)


def _group_of(path: Path) -> int:
    log = get_logger(service="trial")
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"--docker {path}: {error}; mount Docker's socket there, or name its place") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"--docker {path} is not a socket; mount Docker's socket there, or name its place")
    if os.geteuid() != 0:
        log.warning("not root: nginx runs under the user that reads Docker's socket")
    elif found.st_mode & stat.S_IWOTH:
        log.warning("anybody may open Docker's socket, nginx too; remedy: chmod o-rw on the machine", path=str(path))
    return found.st_gid


def _folder(path: Path, mode: int, owner: int | None = None) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # Root of a container may be without the right to change what is another's, so it is made ours first.
            os.chown(path, 0, 0)
            path.chmod(mode)
            os.chown(path, owner or 0, GROUP)
    except OSError as error:
        raise ConfigError(f"the folder {path} cannot be used: {error}; mount a volume or a tmpfs there") from error
