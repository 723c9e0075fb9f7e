"""The command `interlock lint`; click and nothing else."""

from __future__ import annotations

import sys

import click

from interlock.errors import ConfigError
from interlock.labels.label import EVERY_PROXY, Proxy
from interlock.runtime.rundir import announced_bus
from interlock.runtime.settings import Common, ServiceCommand, common_options
from interlock_lint.app import run
from interlock_lint.formats import FORMATS
from interlock_lint.services import mistake_of_name

_OF_OPTIONS = "bus"

_EXAMPLES = """\b
Examples:
  interlock lint stack.yml
  interlock lint --stack shop stack.yml stack.production.yml     # as docker stack deploy -c … -c … shop
  interlock lint --format github --strict stack.yml              # annotations in a workflow of GitHub's
  interlock lint --proxy haproxy stack.yml                       # what is different there
  interlock lint --format sarif stack.yml > lint.sarif
  interlock lint --stack shop --against redis://bus:6379 stack.yml
  interlock lint --stack shop --against bus --bus-file /run/secrets/interlock-operator stack.yml
\b
Exit status: 0 where there is no error (there may be warnings and notes), 1 where there is one (with --strict: or a
warning), 2 where a file, an option or the bus could not be read; what could be read is reported all the same."""


@click.command(cls=ServiceCommand, epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--stack", metavar="NAME", help="The stack's name, which Docker puts before its networks.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    show_default="text",
    help="For people, for programs, for GitHub's workflows, for code scanners.",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    type=click.Choice(EVERY_PROXY),
    help="A proxy that the stack is for; may be given again. Says what labels mean there, and warns of those that it "
    "does not know; without it, differences between any proxies are noted.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--against",
    default="",
    metavar="BUS",
    help="Also say what deploying would change: the URL of a bus, or `bus` for the one of --bus, --bus-file, the "
    "environment or config.toml. It is only read.",
)
@common_options
def main(
    *,
    common: Common,
    files: tuple[str, ...],
    stack: str | None,
    strict: bool,
    form: str | None,
    as_json: bool,
    against: str,
    proxies: tuple[Proxy, ...],
) -> None:
    """Check stack files: every label of Interlock, as the planner reads it. Several files are one stack; - is stdin.

    Nothing is asked but the files, unless --against names a bus.
    """  # fmt: skip
    if as_json and form not in (None, "json"):
        raise ConfigError(f"--json and --format {form} are two formats: give one of them")
    mistake = "" if stack is None else mistake_of_name(stack)
    if mistake:
        raise ConfigError(f"--stack {stack!r}: {mistake}")
    sys.exit(
        run(
            files,
            stack=stack or "",
            form="json" if as_json else form or "text",
            strict=strict,
            proxies=proxies,
            bus_url=_bus(common, against, stack or ""),
            region=common.region,
        )
    )


def _bus(common: Common, against: str, stack: str) -> str:
    if not against:
        return ""
    if not stack:
        raise ConfigError(
            "--against needs --stack NAME, as docker stack deploy is given it: services on the bus are found by it"
        )
    if against != _OF_OPTIONS:
        return against
    url = common.bus or announced_bus() or ""
    if not url:
        raise ConfigError("--against bus: name the bus with --bus redis://host:6379 or --bus-file PATH")
    return url
