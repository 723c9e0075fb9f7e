"""The command line of the planner; click and nothing else."""

from __future__ import annotations

import socket
import sys

import click

from interlock.runtime.settings import Common, ServiceCommand, common_options_any_region, setting
from interlock_planner.app import run

_EXAMPLES = """\b
Examples:
  interlock-planner --bus redis://bus:6379/0
  interlock-planner --bus rediss://:secret@bus:6380/0 --region eu --metrics :9102
  interlock-planner --bus unix:///run/interlock/bus.sock --log-level debug
  INTERLOCK_BUS=redis://bus:6379/0 interlock planner

Start as many as you like: they share the service clusters by lease, and when one dies the others take its clusters
over within 2 seconds. A planner asks only the bus, never Docker, and keeps nothing on disk."""


@click.command(cls=ServiceCommand, epilog=_EXAMPLES)
@common_options_any_region
@setting(
    "--name",
    env="INTERLOCK_PLANNER_NAME",
    metavar="NAME",
    help="Who holds the leases, for people to read; the host's name by default.",
)
def main(common: Common, name: str | None) -> None:
    """Turn the labelled services of every service cluster into the plan that its proxies follow."""
    sys.exit(
        run(
            bus_url=common.needed_bus(),
            name=name or socket.gethostname(),
            region=common.region or None,
            metrics_addr=common.metrics,
        )
    )
