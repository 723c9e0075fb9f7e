"""The command `interlock import`: reads a file, prints a file. click and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import click
import msgspec

from interlock.errors import ConfigError
from interlock.runtime.settings import ServiceCommand
from interlock_importer import report
from interlock_importer.importing import import_stack

_EXAMPLES = """\b
Examples:
  interlock import --from hrm stack.yml > new-stack.yml           # the report is on the terminal
  interlock import --from v1 stack.yml --report report.txt > new-stack.yml
  interlock import --from hrm stack.yml --json 2> report.json > new-stack.yml
\b
Exit status:
  0  everything maps
  1  something does not map, or a label has a problem; the file is printed all the same, the report says what and why
  2  the file cannot be read, or is no stack file; nothing is printed
"""
_LARGEST = 1024 * 1024
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("import", cls=ServiceCommand, epilog=_EXAMPLES)
@click.argument("stack", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), metavar="STACK.YML")
@click.option("--from", "dialect", type=click.Choice(["hrm", "v1"]), required=True, help="Whose labels to read.")
@click.option("--report", "place", type=_FILE, metavar="FILE", help="Write the report there.  [default: stderr]")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def main(*, stack: Path, dialect: str, place: Path | None, as_json: bool) -> None:
    """Print a stack file with the labels of today beside those of HRM (UCP 2) or Interlock v1.

    The file stays as it is but for the labels com.docker.lb.* that are added to `deploy.labels`; labels that are there
    are never changed. STACK.YML may be `-` for standard input. Nothing is deployed, and Docker is not asked.
    """
    text, name = _read(stack), "standard input" if str(stack) == "-" else str(stack)
    try:
        imported = import_stack(text, cast("report.Dialect", dialect))
    except ConfigError as error:
        raise ConfigError(f"{name} {error}") from error
    _tell(_report(imported.report, name, as_json=as_json), place)
    sys.stdout.buffer.write(imported.text.encode())
    sys.exit(0 if imported.report.complete else 1)


def _read(stack: Path) -> str:
    try:
        with sys.stdin.buffer if str(stack) == "-" else stack.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{stack} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise ConfigError(f"{stack} is larger than {_LARGEST >> 20} MB, which no stack file is")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{stack} is not UTF-8 at byte {error.start}: save it as UTF-8") from error


def _report(found: report.Report, file: str, *, as_json: bool) -> str:
    if not as_json:
        return report.text(found, file)
    data = msgspec.json.encode({"file": file, **msgspec.to_builtins(found)})
    return msgspec.json.format(data, indent=2).decode() + "\n"


def _tell(text: str, place: Path | None) -> None:
    if place is None:
        click.echo(text, err=True, nl=False)
        return
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--report {place} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    main()
