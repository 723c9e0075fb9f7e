"""`interlock trial`: the command line, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from interlock.runtime.settings import ServiceCommand, setting
from interlock_trial.app import Options, run

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(cls=ServiceCommand)
@setting(
    "--docker",
    env="INTERLOCK_TRIAL_SOCKET",
    metavar="PATH",
    type=click.Path(path_type=Path),
    default=Path("/var/run/docker.sock"),
    help="The socket of a manager's engine.",
)
@setting("--http-port", type=click.IntRange(1, 65535), default=8080, help="Serve HTTP on this port of all addresses.")
@setting("--run-dir", metavar="DIR", type=_FOLDER, default=Path("/run/interlock"), help="For sockets; may be a tmpfs.")
@setting(
    "--state-dir", metavar="DIR", type=_FOLDER, default=Path("/var/lib/interlock"), help="What outlives a restart."
)
def main(*, docker: Path, http_port: int, run_dir: Path, state_dir: Path) -> None:
    """Everything in one container, for a first look at a real Swarm: deploy/trial.yml runs it."""
    sys.exit(run(Options(docker=docker, http_port=http_port, run_dir=run_dir, state_dir=state_dir)))


if __name__ == "__main__":
    main()
