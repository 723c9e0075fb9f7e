"""`interlock …`: the umbrella. Its own commands look at an installation; each service joins with its command.

Services join by the entry point group `interlock.commands`, so that shared code imports no service; one whose extra is
not installed is named in the help with the remedy instead of failing the others.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import click
import msgspec

from interlock import __version__
from interlock.bus.connection import Bus
from interlock.errors import ConfigError
from interlock.inspection import tables, view
from interlock.inspection.console import console
from interlock.runtime.rundir import announced_bus
from interlock.runtime.settings import Common, ServiceCommand, common_options_any_region


class Umbrella(click.Group):
    """Our own commands and those of every installed service, loaded only when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, sorted."""
        return sorted({*super().list_commands(ctx), *_joined()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or one that says what is missing."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        entry = _joined().get(cmd_name)
        return _load(entry) if entry else None


def _joined() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="interlock.commands")}


def _load(entry: EntryPoint) -> click.Command:
    try:
        command: click.Command = entry.load()
    except ModuleNotFoundError as error:
        remedy = f"pip install 'interlock[{entry.name}]'"
        missing = f"the {entry.name} needs {error.name}, which is not installed: {remedy}"

        @click.command(entry.name, help=f"(not installed: {remedy})", context_settings={"ignore_unknown_options": True})
        @click.argument("_rest", nargs=-1)
        def absent(_rest: tuple[str, ...]) -> None:
            raise click.ClickException(missing)

        return absent
    return command


@click.group(cls=Umbrella, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="interlock")
def main() -> None:
    """Layer-7 ingress for Docker Swarm over a message bus.

    \b
    Try it on this machine, without Docker:   interlock demo up
    See what is routed, and what is wrong:    interlock status --bus redis://localhost:6379
    Every route with its endpoints:           interlock routes --bus redis://localhost:6379
    Is everything as it should be, here:      interlock doctor --bus redis://localhost:6379
    """


@main.command(
    cls=ServiceCommand, epilog="Example:  interlock status --bus unix:///run/interlock/bus.sock --json | jq ."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@common_options_any_region
def status(common: Common, as_json: bool) -> None:
    """Service clusters, plan versions, what each proxy runs, problems and staleness."""
    bus = _bus(common)
    found = view.status(bus, common.region or None)
    if as_json:
        _print_json(found)
    else:
        console().print(tables.status_tables(found))
    bus.close()


@main.command(cls=ServiceCommand, epilog="Example:  interlock routes --bus redis://redis:6379 --cluster us-east")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--cluster", default=None, help="Only this service cluster; empty for the unnamed one.  [default: all]")
@common_options_any_region
def routes(common: Common, as_json: bool, cluster: str | None) -> None:
    """Hosts, paths, services and endpoints, as planned."""
    bus = _bus(common)
    found = view.routes(bus, common.region or None, cluster)
    if as_json:
        _print_json(found)
    else:
        console().print(tables.routes_table(found))
    bus.close()


def _bus(common: Common) -> Bus:
    url = common.bus or announced_bus()
    if not url:
        raise ConfigError(
            "no bus is named and none runs here: give --bus redis://host:6379 or --bus-file PATH (or INTERLOCK_BUS, "
            "INTERLOCK_BUS_FILE), or start the demo with `interlock demo up`"
        )
    return Bus.connect(url, name="interlock-cli")


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
