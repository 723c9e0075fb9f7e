"""The command `interlock config`; click and nothing else."""

from __future__ import annotations

import sys

import click
import msgspec

from interlock.config.document import examine
from interlock.config.reference import markdown
from interlock.inspection.console import console
from interlock.review.report import keys_json, keys_table, review, review_table
from interlock.runtime.settings import ServiceCommand, config_text

_CHECK = """\b
Examples:
  interlock config check config.toml
  interlock config check --json config.toml | jq -r '.keys[] | select(.effect == "later") | .key'
\b
Exit status: 0 where there is nothing to say, 1 where there are warnings (unknown keys are ignored),
2 where no service starts with the file. Keys without effect are neither.
Raw lines of nginx are tried by nginx itself, when a worker starts.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look at a config.toml, and at the keys that it may have."""


@main.command(cls=ServiceCommand, epilog=_CHECK)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("file")
def check(file: str, as_json: bool) -> None:
    """Which keys of FILE take effect now, later or not at all, and what is wrong with it."""
    found = review(examine(config_text(file), where=file))
    if as_json:
        _print_json(found)
    else:
        console().print(review_table(found))
    sys.exit(found.status)


@main.command(cls=ServiceCommand, epilog="Example:  interlock config keys --json | jq -r '.[].key'")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print docs/config.md.")
def keys(as_json: bool, as_markdown: bool) -> None:
    """Every key with what it holds, its default and whether it takes effect."""
    if as_json:
        _print_json(keys_json())
    elif as_markdown:
        sys.stdout.buffer.write(markdown().encode())
    else:
        console().print(keys_table())


def _print_json(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


if __name__ == "__main__":
    main()
