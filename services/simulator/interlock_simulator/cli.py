"""`interlock-simulator`: the command line, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import click
import msgspec

from interlock.errors import InterlockError
from interlock_simulator.app import Settings, run
from interlock_simulator.profile import PROFILES

_EXAMPLES = """
\b
Examples
  interlock-simulator --socket /tmp/sim.sock
  interlock-simulator --socket /tmp/sim.sock --nodes 3 --profile fast
  interlock-simulator --socket /tmp/sim.sock --subnet 127.50.0.0/16 --seed 7
\b
Then, in another terminal
  export DOCKER_HOST=unix:///tmp/sim.sock
  docker network create -d overlay web
  docker service create -d --name shop --replicas 2 --network web \\
      --label com.docker.lb.hosts=shop.local --label com.docker.lb.port=8080 --env APP_VERSION=1 demo/shop:1
  docker service ps shop
  docker service update --env-add APP_VERSION=2 --update-order start-first shop
\b
Faults on request (JSON over the same socket; /tmp/sim.sock.control answers even while the first is closed)
  curl --unix-socket /tmp/sim.sock -d '{"kind":"error","status":503,"seconds":5}' http://sim/_sim/faults
  curl --unix-socket /tmp/sim.sock -d '{"service":"shop"}' http://sim/_sim/crash
  curl --unix-socket /tmp/sim.sock http://sim/_sim/tasks?service=shop
\b
A container's environment says what its tasks do
  PORT=8080 APP_VERSION=1 SIM_START_DELAY=0.5 (running, not listening yet) SIM_HEALTH_DELAY=1 (starting until healthy)
  SIM_LISTEN=no (never listens) SIM_CRASH_AFTER=2 (a crash loop) SIM_IGNORE_SIGTERM=1
"""


@click.command(
    epilog=_EXAMPLES, context_settings={"auto_envvar_prefix": "INTERLOCK_SIMULATOR", "max_content_width": 120}
)
@click.option("--socket", "path", type=click.Path(path_type=Path), required=True, help="Unix socket to answer on.")
@click.option(
    "--profile", type=click.Choice(sorted(PROFILES)), default="real", show_default=True, help="How long things take."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of ids and jitter.")
@click.option(
    "--subnet", default="", help="Address pool of networks, in 127.0.0.0/8. Default: the first free /16 from 127.20."
)
@click.option("--nodes", type=click.IntRange(1, 100), default=1, show_default=True, help="Nodes of the swarm.")
@click.option(
    "--managers", type=click.IntRange(1, 100), default=1, show_default=True, help="How many of them are managers."
)
@click.option("--serial-addresses", is_flag=True, help="Go round a subnet before an address is used again.")
@click.option("--sigterm-delay", type=float, help="Seconds from desired state to SIGTERM without an overlay.")
@click.option("--sigterm-delay-overlay", type=float, help="The same with an overlay.")
@click.option("--api-version", "newest", default="1.47", show_default=True, help="Newest API version spoken.")
@click.option("--min-api-version", "oldest", default="1.24", show_default=True, help="Oldest API version spoken.")
@click.option("--stop-with-parent", is_flag=True, help="Stop when the process that started this one is gone.")
def main(
    *,
    path: Path,
    profile: str,
    seed: int,
    subnet: str,
    nodes: int,
    managers: int,
    serial_addresses: bool,
    sigterm_delay: float | None,
    sigterm_delay_overlay: float | None,
    newest: str,
    oldest: str,
    stop_with_parent: bool,
) -> None:
    """A Docker Engine API with no Docker behind it: a simulated swarm whose tasks really answer HTTP on loopback."""
    parent = os.getppid()
    delays = {"sigterm_plain": sigterm_delay, "sigterm_overlay": sigterm_delay_overlay}
    timings = msgspec.structs.replace(
        PROFILES[profile], **{key: value for key, value in delays.items() if value is not None}
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    settings = Settings(
        socket=path,
        profile=timings,
        seed=seed,
        subnet=subnet,
        nodes=nodes,
        managers=min(managers, nodes),
        serial=serial_addresses,
        oldest=oldest,
        newest=newest,
        stop_with_parent=stop_with_parent,
        parent=parent,
    )
    try:
        asyncio.run(run(settings))
    except InterlockError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
