"""`interlock demo …`: the command line, and nothing else."""

from __future__ import annotations

import sys

import click

from interlock.runtime.settings import ServiceCommand, setting
from interlock_demo import app, scene

_EXAMPLES = """\b
Examples:
  interlock demo up                  in one terminal; then, in another:
  interlock demo scale shop 5
  interlock demo crash shop
  interlock demo break shop          a bad label: see the problem and its remedy; `mend shop` repairs it
  interlock demo roll blog
  interlock status
  interlock demo down"""

_service = click.argument("service", metavar="[" + "|".join(scene.NAMES) + "]")


@click.group(epilog=_EXAMPLES)
def main() -> None:
    """Interlock on this machine: a simulated Swarm, real nginx, a live table. No Docker, no root."""


@main.command(cls=ServiceCommand)
@setting(
    "--port",
    type=click.IntRange(1, 65535),
    default=8080,
    env="INTERLOCK_DEMO_PORT",
    help="Where nginx serves; the next free one if taken.",
)
@setting(
    "--rate",
    type=click.FloatRange(1, 500),
    default=app.RATE,
    env="INTERLOCK_DEMO_RATE",
    help="Requests per second of the steady load.",
)
def up(port: int, rate: float) -> None:
    """Start everything and show it, until Ctrl-C. Leaves no process and no port behind, however it ends."""
    sys.exit(app.up(port=port, rate=rate))


@main.command(cls=ServiceCommand)
def down() -> None:
    """Stop the demo that runs in another terminal."""
    click.echo(app.down())


@main.command(cls=ServiceCommand)
@_service
@click.argument("replicas", type=int)
def scale(service: str, replicas: int) -> None:
    """Set how many tasks a service has."""
    click.echo(app.act(lambda sim: scene.scale(sim, service, replicas)))


@main.command(cls=ServiceCommand)
@_service
def roll(service: str) -> None:
    """Roll out the next version of a service, one task after the other."""
    click.echo(app.act(lambda sim: scene.roll(sim, service)))


@main.command(cls=ServiceCommand)
@_service
def crash(service: str) -> None:
    """Kill one task of a service."""
    click.echo(app.act(lambda sim: scene.crash(sim, service)))


@main.command("break", cls=ServiceCommand)
@_service
def break_(service: str) -> None:
    """Make a mistake in a label of a service."""
    click.echo(app.act(lambda sim: scene.break_label(sim, service)))


@main.command(cls=ServiceCommand)
@_service
def mend(service: str) -> None:
    """Correct that mistake."""
    click.echo(app.act(lambda sim: scene.mend(sim, service)))


if __name__ == "__main__":
    main()
